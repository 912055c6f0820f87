import type { Coordination, OtherDefinition } from '../../types/coordination.js'
import { HOUR } from '../base/duration.js'
import { dataFingerprint } from '../jobs/definition.js'
import type { JobRecord } from '../jobs/job.js'
import type { Logbook } from './logbook.js'

/** For how many jobs there is a warning. A deploy that changes a default changes it for all jobs, which may be thousands. */
const MAX_WARNED = 20

type Values = Readonly<Record<string, unknown>>

/**
 * Warns of jobs that another replica defines differently, as two builds of an app do. For each job the log says once that the
 * definitions differ, and once how: that is known as soon as the other replica has noticed, too, and has shared its definition.
 * Beyond the first `MAX_WARNED` jobs it says so at `debug`.
 */
export class DefinitionWarnings {
  readonly #coordination: Coordination
  readonly #logbook: Logbook
  /** What the log has said of each job: that its definitions differ, or also how. */
  readonly #said = new WeakMap<JobRecord, 'that' | 'how'>()
  /** The jobs that there is a warning for. */
  readonly #warned = new Set<string>()
  /** When it was last found of each job, on the fleet's clock. */
  readonly #foundAt = new Map<string, number>()
  #isLimitLogged = false

  constructor(coordination: Coordination, logbook: Logbook) {
    this.#coordination = coordination
    this.#logbook = logbook
  }

  /** How many jobs were found to be defined differently within the last hour. */
  get recent(): number {
    const since = this.#coordination.now() - HOUR
    for (const [id, at] of this.#foundAt) if (at < since) this.#foundAt.delete(id)
    return this.#foundAt.size
  }

  /** Another replica defines a job differently, or did when the store was asked. */
  async note(job: JobRecord, { fingerprint, replicaId }: OtherDefinition): Promise<void> {
    const said = this.#said.get(job)
    const { id, fingerprint: own } = job
    // The job may have been changed since the store was asked.
    if (own.trigger === fingerprint.trigger && own.options === fingerprint.options) return
    this.#foundAt.set(id, this.#coordination.now())
    if (said === 'how') return
    this.#said.set(job, 'how')
    const here = valuesOf(job)
    const text = await this.#coordination.shareDefinition(id, own, JSON.stringify(here), fingerprint)
    const there = text === null ? null : readValues(text)
    if (there !== null) {
      const differs = [...new Set([...Object.keys(here), ...Object.keys(there)])].filter(
        (name) => name !== 'version' && JSON.stringify(here[name]) !== JSON.stringify(there[name])
      )
      const names = 'version' in here || 'version' in there ? [...differs, 'version'] : differs
      const pick = (values: Values): Values => Object.fromEntries(names.map((name) => [name, values[name] ?? null]))
      const values = { here: pick(here), there: pick(there) }
      this.#logbook.definitionDiffers(this.#levelFor(id), id, replicaId, differs, values)
      return
    }
    this.#said.set(job, 'that')
    if (said === 'that') return
    const differs = [
      ...(own.trigger === fingerprint.trigger ? [] : ['trigger']),
      ...(own.options === fingerprint.options ? [] : ['options'])
    ]
    this.#logbook.definitionDiffers(this.#levelFor(id), id, replicaId, differs, null)
  }

  #levelFor(jobId: string): 'warn' | 'debug' {
    if (this.#warned.size < MAX_WARNED) this.#warned.add(jobId)
    if (this.#warned.has(jobId)) return 'warn'
    if (!this.#isLimitLogged) this.#logbook.moreDefinitionsDiffer(MAX_WARNED)
    this.#isLimitLogged = true
    return 'debug'
  }
}

/** What a definition says, as a log may show it. Data may be secret: only its fingerprint is shown. */
function valuesOf({ definition, trigger }: JobRecord): Values {
  const { id: _id, trigger: _trigger, task: _task, data: _data, description: _description, ...options } = definition
  const data = dataFingerprint(definition)
  // Which npm gives to a process that it starts.
  const version = process.env.npm_package_version
  return {
    ...(version === undefined ? {} : { version }),
    trigger: trigger.key,
    ...options,
    ...(data === null ? {} : { data })
  }
}

function readValues(text: string): Values | null {
  try {
    const values: unknown = JSON.parse(text)
    return typeof values === 'object' && values !== null ? (values as Values) : null
  } catch {
    return null
  }
}
