// What tells two definitions of one job apart.
import t from 'tap'
import { hash32 } from '../../lib/base/hash.js'
import { dataFingerprint, fingerprintOf, type JobDefinition } from '../../lib/jobs/definition.js'
import { resolveDefaults, resolveJob } from '../../lib/jobs/options.js'
import { resolveTrigger } from '../../lib/triggers/index.js'
import type { Fingerprint } from '../../types/coordination.js'
import type { JobOptions } from '../../types/job-options.js'
import type { TriggerObject } from '../../types/trigger.js'

function define(changes: Partial<JobOptions> = {}): JobDefinition {
  const options = { id: 'job', trigger: { interval: '1s' }, handler() {}, ...changes } as JobOptions
  const resolveHandler = (work: unknown) => ({ executor: { run() {} }, work })
  return resolveJob(options, resolveDefaults(undefined), resolveHandler).definition
}

function fingerprint(changes: Partial<JobOptions> = {}): Fingerprint {
  const definition = define(changes)
  return fingerprintOf(definition, resolveTrigger(definition.trigger as TriggerObject, { timezone: 'UTC' }))
}

t.test('a definition has no handler in it, and can be written down', async (t) => {
  const definition = define({ data: { table: 'orders' } })
  t.strictSame(JSON.parse(JSON.stringify(definition)), { ...definition })
  t.notOk(Object.values(definition).some((value) => typeof value === 'function'))
  t.equal(definition.task, 'job', 'by which its handler is known')
})

t.test('definitions differ by their trigger, their options and their data, and by nothing else', async (t) => {
  const own = fingerprint()
  t.strictSame(fingerprint(), own)
  t.strictSame(fingerprint({ handler: () => 'another' }), own, 'not by their handler')
  t.not(fingerprint({ trigger: { interval: '2s' } }).trigger, own.trigger)
  t.equal(fingerprint({ trigger: { interval: '2s' } }).options, own.options)
  t.not(fingerprint({ timeout: '1s' }).options, own.options)
  t.equal(fingerprint({ timeout: '1s' }).trigger, own.trigger)
  t.not(fingerprint({ priority: 'low' }).options, own.options)
  t.strictSame(fingerprint({ priority: 'normal' }), own)
  const data = fingerprint({ data: { table: 'orders' } })
  t.not(data.options, own.options)
  t.not(fingerprint({ data: { table: 'users' } }).options, data.options)
  t.strictSame(fingerprint({ data: { table: 'orders' } }), data)
})

t.test('a job without the options that came later is the same to a build that knows of none', async (t) => {
  const { id: _id, trigger: _trigger, task: _task, data: _data, schema, ...all } = define()
  const { priority, maxInstances, overlap, maxRuns, runOnStart, pauseAfterFailures, group, description, ...options } =
    all
  const later = [priority, maxInstances, overlap, maxRuns, runOnStart, pauseAfterFailures, group, description, schema]
  t.strictSame(later, ['normal', 1, 'skip', null, false, null, null, null, null])
  t.equal(fingerprint().options, hash32(JSON.stringify(options)).toString(36))
})

t.test('a description says nothing of what a job does, a group does', async (t) => {
  t.strictSame(fingerprint({ description: 'what it is for' }), fingerprint())
  t.not(fingerprint({ group: 'one' }).options, fingerprint().options)
})

t.test('data that cannot be written down tells nothing apart, and is no error', async (t) => {
  const circle: { self?: unknown } = {}
  circle.self = circle
  t.strictSame(fingerprint({ data: circle }), fingerprint({ data: 1n }))
  t.equal(dataFingerprint(define({ data: circle })), null)
  t.equal(dataFingerprint(define({ data: () => {} })), null)
  t.equal(dataFingerprint(define()), null)
  t.match(dataFingerprint(define({ data: 'a' })), /^[0-9a-z]+$/)
})
