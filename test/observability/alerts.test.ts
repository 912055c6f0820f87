// The alerts of observability/alerts.yml, by Prometheus' own promtool: each fires where it should, and is silent elsewhere.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { needProgram } from '../fixtures/programs.mjs'

const ROOT = join(import.meta.dirname, '../..')
const RULES = join(ROOT, 'observability/alerts.yml')
const FOLDER = join(ROOT, 'test/fixtures/alerts')

const rules = readFileSync(RULES, 'utf8')
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name)
const files = readdirSync(FOLDER).sort()

function promtool(t: Test, what: string, ...args: string[]): void {
  try {
    execFileSync(needProgram('promtool'), args, { encoding: 'utf8', stdio: 'pipe' })
    t.pass(what)
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string }
    t.fail(`${what}: ${stdout}${stderr}`)
  }
}

t.test('the rules are rules', async (t) => promtool(t, 'alerts.yml', 'check', 'rules', RULES))

t.test('each alert fires and stays silent where it should', async (t) => {
  // All in one process: each takes a second to begin.
  promtool(t, 'all files', 'test', 'rules', ...files.map((file) => join(FOLDER, file)))
})

t.test('of each alert it is tested that it fires, and that it is silent', async (t) => {
  t.ok(alerts.length >= 14)
  for (const alert of alerts) {
    const name = alert.replace(/(?!^)[A-Z]/g, (letter) => `-${letter}`).toLowerCase()
    const text = readFileSync(join(FOLDER, `${name}.yml`), 'utf8')
    const told = [...text.matchAll(new RegExp(`alertname: ${alert}\\b[^]*?exp_alerts:([^\\n]*)`, 'g'))]
    t.ok(
      told.some(([, after = '']) => !after.includes('[]')),
      `${alert} fires`
    )
    t.match(text, /exp_(?:alerts|samples): \[\]/, `${alert} is silent`)
  }
})

t.test('each runbook is there', async (t) => {
  const page = readFileSync(join(ROOT, 'docs/operating.md'), 'utf8')
  const anchors = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(' ', '-'))
  for (const [, anchor = ''] of rules.matchAll(/runbook: docs\/operating\.md#(\S+)/g))
    t.ok(anchors.includes(anchor), anchor)
})
