// Makes ../scripts.ts and ../constants.ts of the .lua files beside it: resolves includes, writes the values of constants, and
// functions of one expression, in the places of their names, and leaves out comments, indentation, and functions that are not
// used. With `--check`, and in a CI, it writes nothing, and fails when the files are not what it would write.
//
// Why functions are written out: a run reads and writes records in a dozen of them, a call costs Redis about as much as a
// small string, and a script makes all of its functions anew each time that it is executed.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = import.meta.dirname

const UNITS = { SECOND: 1000, MINUTE: 60_000, HOUR: 3_600_000, DAY: 86_400_000 }

const CONSTANT = /((?:^--.*\n)*)^local ([A-Z][A-Z\d_]+) = (.+)$/gm

const INCLUDE = /^--- @include "([\w-]+)"\n/gm

const FUNCTION = /^local function (\w+)\((.*)\)\n(?:(?: {2}.*)?\n)*?end\n/gm

const EXPRESSION = /^local function (\w+)\((.*)\)\n {2}return (.+)\nend\n/gm

/** Comments, strings and names: what looks like one of them inside another is none. */
const TOKEN = /--.*|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?<![.\w])[A-Za-z_]\w*/g

/** Texts, also several in a row. */
const TEXTS = /'(?:\\.|[^'\\])*'(?: \.\. '(?:\\.|[^'\\])*')*/g

/** @param {string[]} path */
function read(...path) {
  return readFileSync(join(FOLDER, ...path), 'utf8')
}

/** The constants: what is said of each, and its value as both languages write it. */
function readConstants() {
  const constants = new Map()
  for (const [, comment, name, written] of read('constants.lua').matchAll(CONSTANT)) {
    const value = /^'[^'\\]*'$/.test(written) ? written : `${calculate(written)}`
    constants.set(name, { comment: comment.replaceAll(/^-- /gm, '').trim(), value })
  }
  return constants
}

/** A number, or a product or quotient of two. */
function calculate(written) {
  const [, left, operator = '*', right = '1'] = /^(\w+)(?: ([*/]) (\w+))?$/.exec(written) ?? []
  const [a, b] = [left, right].map((operand) => UNITS[operand] ?? Number(operand))
  const result = operator === '*' ? a * b : a / b
  if (!Number.isSafeInteger(result)) throw new Error(`constants.lua: \`${written}\` is neither a text nor a number`)
  return result
}

/** A script as Redis gets it. */
function compile(file, constants) {
  const whole = read(file).replaceAll(INCLUDE, (_line, name) => read('shared', `${name}.lua`))
  const bare = whole.replaceAll(TOKEN, (token) => (token.startsWith('--') ? '' : token))
  const text = withoutUnused(withoutCalls(bare)).replaceAll(TOKEN, (token) => {
    if (!/^[A-Z][A-Z\d_]+$/.test(token) || token === 'KEYS' || token === 'ARGV') return token
    if (!constants.has(token)) throw new Error(`${file}: ${token} is not in constants.lua`)
    return constants.get(token).value
  })
  const joined = text.replaceAll(TEXTS, (texts) => `'${texts.slice(1, -1).replaceAll("' .. '", '')}'`)
  const lines = joined.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '').join('\n')
}

/** Writes functions of one expression out where they are called: the later ones first, as they may call earlier ones. */
function withoutCalls(script) {
  let text = script
  for (const [, name] of [...script.matchAll(EXPRESSION)].reverse()) {
    const [, , params, expression] = [...text.matchAll(EXPRESSION)].find(([, found]) => found === name)
    const call = new RegExp(`(?<!function )(?<![.\\w])${name}\\(`)
    for (let found = call.exec(text); found !== null; found = call.exec(text)) {
      const { args, end } = readArguments(text, found.index + found[0].length)
      text = text.slice(0, found.index) + fill(name, params.split(', '), expression, args) + text.slice(end)
    }
  }
  return text
}

/** An expression with arguments in the place of its parameters. */
function fill(name, params, expression, args) {
  const seen = new Set()
  const filled = expression.replaceAll(TOKEN, (token) => {
    const index = params.indexOf(token)
    if (index < 0) return token
    const arg = args[index] ?? 'nil'
    if (/^[\w.]+$|^'[^']*'$/.test(arg)) return arg
    if (seen.has(token)) throw new Error(`${name}: its argument \`${arg}\` would be evaluated twice`)
    seen.add(token)
    // Texts are put together in one step, and not in several.
    return isCall(arg) || (isConcatenation(expression) && isConcatenation(arg)) ? arg : `(${arg})`
  })
  // In parentheses a call would have its first value only.
  return isCall(expression) || isConcatenation(expression) ? filled : `(${filled})`
}

function isConcatenation(expression) {
  return expression.split(' .. ').every((term) => /^([\w.]+|'[^']*')$/.test(term) || isCall(term))
}

function isCall(expression) {
  const [start] = /^[\w.]+\(/.exec(expression) ?? []
  return start !== undefined && readArguments(expression, start.length).end === expression.length
}

/** The arguments that begin at a place in a text, and where it goes on after their parenthesis. */
function readArguments(text, start) {
  const args = []
  let depth = 0
  let from = start
  const part = /'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[()[\]{},]/g
  part.lastIndex = start
  for (let found = part.exec(text); found !== null; found = part.exec(text)) {
    const [token] = found
    const isEnd = depth === 0 && token === ')'
    if (isEnd || (depth === 0 && token === ',')) {
      args.push(text.slice(from, found.index).trim())
      from = part.lastIndex
    }
    if (isEnd) return { args, end: part.lastIndex }
    if ('([{'.includes(token)) depth++
    else if (')]}'.includes(token)) depth--
  }
  throw new Error(`a parenthesis is not closed: ${text.slice(start, start + 80)}`)
}

function withoutUnused(script) {
  const text = script.replaceAll(FUNCTION, (whole, name) => {
    return script.match(new RegExp(`(?<![.\\w])${name}\\b`, 'g')).length === 1 ? '' : whole
  })
  return text === script ? text : withoutUnused(text)
}

const HEADER = '// Generated by lua/build.mjs from the .lua files beside it: change those, and run `npm run build`.\n'

function writeScripts(constants) {
  let text = HEADER
  for (const file of readdirSync(FOLDER).sort()) {
    if (!file.endsWith('.lua') || file === 'constants.lua') continue
    const name = file.slice(0, -4).replaceAll('-', '_').toUpperCase()
    text += `\nexport const ${name}_SCRIPT = \`\n${compile(file, constants).replaceAll(/[\\`]|\$\{/g, '\\$&')}\n\`\n`
  }
  return text
}

function writeConstants(constants) {
  let text = HEADER
  for (const [name, { comment, value }] of constants) {
    const lines = comment.split('\n')
    if (lines.length > 1) text += `\n/**\n${lines.map((line) => ` * ${line}\n`).join('')} */`
    else if (comment !== '') text += `\n/** ${comment} */`
    text += `\nexport const ${name} = ${value}\n`
  }
  return text
}

const constants = readConstants()
const isCheck = process.argv.includes('--check') || Boolean(process.env.CI)
for (const [file, make] of Object.entries({ 'scripts.ts': writeScripts, 'constants.ts': writeConstants })) {
  const path = join(FOLDER, '..', file)
  const text = make(constants)
  if (!isCheck) writeFileSync(path, text)
  else if (readFileSync(path, 'utf8') !== text) {
    console.error(
      `lib/coordination/redis/${file} is not in step with the .lua files: run \`npm run build\` and commit it`
    )
    process.exitCode = 1
  }
}
