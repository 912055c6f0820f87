// How records are written: the same on both sides, in step with the .lua files, and so that the build before reads them.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { SERIES as ID_SERIES } from '../../lib/base/run-ids.js'
import { DATE_MARK, FIELD_MARK, NOBODY, SERIES } from '../../lib/coordination/redis/constants.js'
import {
  escapeField,
  readField,
  readReplica,
  readSlot,
  withoutFields,
  writeReplica
} from '../../lib/coordination/redis/fields.js'
import { readOpenRun, readRecord } from '../../lib/coordination/redis/record.js'
import { DATE_MARK as DATE_MARK_OF_JOBS } from '../../lib/jobs/fingerprint.js'
import { withRedis } from '../fixtures/with-redis.js'

const LUA = join(import.meta.dirname, '../../lib/coordination/redis/lua')

/** What the build before reads records and open runs by, as it stands there. */
const PREVIOUS_RECORD = /^(-?\d+) (-?\d+) (\S+) (\d+) (\S+) \d+ \d+ \S+ -?\d+ (\d+) ([^\s.]+)\.\S+$/
const PREVIOUS_OPEN_RUN = /^(\S+) (\d+) (\d+) (\S+) (-?\d+) (\d+) (.+)$/s
const PREVIOUS_DIFFERING = /^(\d+):(-?\d+):([^.:]+)\.([^:]+):(.+)$/
const PREVIOUS_RECORDS_IN_LUA = [
  '^(%-?%d+) (%-?%d+) (%S+) (%d+ %S+ %d+ %d+ %S+ %-?%d+ %d+) (%S+)$',
  '^(%-?%d+) (%-?%d+) (%S+) (%d+) (%S+) (.*)$',
  '^(%-?%d+) .* ([^.%s]+)%.%S+$'
]
const PREVIOUS_MEMBER_IN_LUA = '^(%S+) %d+ %d+ %S+ %-?%d+ %d+ (.+)$'

const time = fc.integer({ min: 0, max: 4_102_444_800_000 })
const tick = fc.oneof(fc.constant(-1), time)
const runId = fc.stringMatching(/^[0-9a-f]{4}-\d{1,3}-\d{1,2}$/)
const replicaId = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((id) => /^[^\s{}\p{Cc}\p{Cs}]+$/u.test(id) && id !== NOBODY)
const word = fc.stringMatching(/^@?[\w-]{1,12}$/)
const fields = fc
  .array(fc.tuple(fc.stringMatching(/^[a-zA-Z]{1,6}$/), fc.string({ unit: 'grapheme', maxLength: 8 })), {
    maxLength: 3
  })
  .map((all) => all.map(([name, value]) => `${FIELD_MARK}${name}=${escapeField(value)}`).join(''))

const words = fc.record({
  tick,
  previous: tick,
  claimedBy: fc.oneof(
    fc.constant(NOBODY),
    runId,
    runId.map((id) => `?${id}`)
  ),
  endedAt: time,
  runId,
  fencingToken: fc.nat(2 ** 52),
  startedAt: time,
  replicaId,
  runFields: fields,
  runTick: tick,
  attempt: fc.nat(10),
  trigger: word,
  options: word,
  jobFields: fields,
  jobId: fc.string({ minLength: 1, maxLength: 20 }).filter((id) => !/[\n\r]/.test(id))
})

t.test('both sides read what the other writes, and so does the build before', (t) =>
  withRedis(async ({ client }) => {
    const shared = await Promise.all(
      ['strings', 'record'].map((name) => readFile(join(LUA, 'shared', `${name}.lua`), 'utf8'))
    )
    const constants = `local NOBODY, FIELD_MARK = '${NOBODY}', '${FIELD_MARK}'\n`
    const script = `${constants}${shared.join('\n')}
      local tick, previous, claimedBy, endedAt, runId, fence, startedAt, replica, runTick, attempt, fingerprint, jobId =
        unpack(ARGV, 1, 12)
      local grant = writeGrant(runId, fence, startedAt, replica, runTick, attempt)
      local record = writeRecord(tick, previous, claimedBy, endedAt, grant, fingerprint)
      local ongoing = { readOngoing(writeRecord(tick, previous, claimedBy, '0', grant, fingerprint)) }
      local read = { readRecord(record) }
      local member = memberOf(grant, jobId)
      local earlier = {}
      for i = 13, #ARGV - 1 do earlier[#earlier + 1] = match(record, ARGV[i]) and 1 or 0 end
      earlier[#earlier + 1] = match(member, ARGV[#ARGV]) == runId and 1 or 0
      return { record, member, read, { readGrant(read[5]) }, ongoing, { readMember(member) }, { splitFields(fingerprint) },
        earlier, triggerOf(fingerprint), runIdOf(grant) }`
    await fc.assert(
      fc.asyncProperty(words, async (given) => {
        const { jobFields, runFields, jobId, trigger, options } = given
        const replica = writeReplica(given.replicaId) + runFields
        const fingerprint = `${trigger}.${options}${jobFields}`
        const run = [given.runId, given.fencingToken, given.startedAt, replica, given.runTick, given.attempt].map(
          String
        )
        const head = [given.tick, given.previous, given.claimedBy].map(String)
        const args = [
          ...head,
          given.endedAt,
          ...run,
          fingerprint,
          jobId,
          ...PREVIOUS_RECORDS_IN_LUA,
          PREVIOUS_MEMBER_IN_LUA
        ]
        const reply = (await client.eval(script, 0, ...args)) as unknown[]
        const [record, member, ...read] = reply as [string, string, ...unknown[]]
        const { runFields: _, jobFields: __, jobId: ___, ...expected } = given
        t.same(readRecord(record), {
          ...expected,
          runs: Number(/;c=(\d+)/.exec(jobFields)?.[1] ?? 0),
          slots: Number(/;n=(\d+)/.exec(jobFields)?.[1] ?? 1),
          status: /;e=[^;]*/.exec(jobFields)?.[0] ?? ''
        })
        const { runId, fencingToken, startedAt, replicaId, runTick: scheduledTime, attempt } = given
        const open = { runId, jobId, replicaId, fencingToken, scheduledTime, startedAt, attempt, lockedUntil: 7 }
        const by = readField(replica, 'B')
        t.same(readOpenRun(member, 7), { ...open, slot: readSlot(replica), ...(by === '' ? {} : { by }) })
        t.same(read, [
          [...head, String(given.endedAt), run.join(' '), fingerprint],
          run,
          [...head, run.join(' '), runId, fingerprint],
          [runId, jobId, replica],
          [`${trigger}.${options}`, jobFields],
          [1, 1, 1, 1],
          trigger,
          runId
        ])
        const [, ...previous] = PREVIOUS_RECORD.exec(record) ?? []
        t.same(previous, [...head, String(given.endedAt), runId, String(attempt), trigger])
        t.same([...(PREVIOUS_OPEN_RUN.exec(member) ?? [])].slice(1), [...run, jobId])
        const [, , , , , other] = PREVIOUS_DIFFERING.exec(`3:${given.tick}:${fingerprint}:${replica}`) ?? []
        t.equal(other, replica)
      }),
      { numRuns: 300 }
    )
  })
)

t.test('a replica has its id, whatever it is, and whatever follows it', async (t) => {
  for (const id of ['a', 'host.example-1', 'a;b', ';v=2', 'a;v=2;s=1', '%3B', '100%', 'é=:.']) {
    const written = writeReplica(id)
    t.equal(readReplica(written), id)
    const inSlot = `${written};s=2;K=${escapeField('k;=:. %é')}`
    t.equal(readReplica(inSlot), id)
    t.equal(readSlot(inSlot), 2)
    t.equal(readSlot(written), 1, 'which names no slot, whatever its id is')
    t.match(written, /^[^;]*;v=2$/)
  }
  t.equal(readReplica('a;b%3B'), 'a;b%3B', 'the build before wrote ids as they are')
  t.equal(readReplica('a;v=12;x=1'), 'a', 'also under a later version')
  t.equal(withoutFields('usual;ok=1;x=2'), 'usual')
  t.notMatch(escapeField('k;=:. %é\n{}'), /[;=:.\s{}]/)
})

t.test('what is a constant in more than one place is the same there', async (t) => {
  t.equal(DATE_MARK, DATE_MARK_OF_JOBS)
  t.equal(SERIES, ID_SERIES)
})

t.test('the committed scripts are in step with the .lua files', async (t) => {
  const said = await new Promise<string>((resolve) => {
    execFile(process.execPath, [join(LUA, 'build.mjs'), '--check'], (_error, stdout, stderr) =>
      resolve(stdout + stderr)
    )
  })
  t.equal(said, '')
})
