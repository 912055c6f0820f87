import type { Coordination, OtherDefinition } from '../../types/coordination.js'
import { dataFingerprint } from '../jobs/definition.js'
import type { JobRecord } from '../jobs/job.js'
import type { Logbook } from './logbook.js'

/** Of how many jobs is warned. A default that a deploy changes is one of all jobs, which may be thousands. */
const MAX_WARNED = 20

type Values = Readonly<Record<string, unknown>>

/**
 * Warns of jobs that another replica defines otherwise, as between two builds of an app. Of each it is told once that they
 * differ, and once what differs, as soon as the other replica has found that out too and has said what its definition is. Of most of many
 * jobs that is told at `debug`.
 */
export class DefinitionWarnings {
  readonly #coordination: Coordination
  readonly #logbook: Logbook
  /** Of each job what was told: that it differs, or also how. */
  readonly #told = new WeakMap<JobRecord, 'that' | 'how'>()
  /** The jobs that are warned of. */
  readonly #warned = new Set<string>()
  #isLimitTold = false

  constructor(coordination: Coordination, logbook: Logbook) {
    this.#coordination = coordination
    this.#logbook = logbook
  }

  async tell(job: JobRecord, { fingerprint, replicaId }: OtherDefinition): Promise<void> {
    const told = this.#told.get(job)
    const { id, fingerprint: own } = job
    // It may have been changed since it was asked for.
    if (told === 'how' || (own.trigger === fingerprint.trigger && own.options === fingerprint.options)) return
    this.#told.set(job, 'how')
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
    this.#told.set(job, 'that')
    if (told === 'that') return
    const differs = [
      ...(own.trigger === fingerprint.trigger ? [] : ['trigger']),
      ...(own.options === fingerprint.options ? [] : ['options'])
    ]
    this.#logbook.definitionDiffers(this.#levelFor(id), id, replicaId, differs, null)
  }

  #levelFor(jobId: string): 'warn' | 'debug' {
    if (this.#warned.size < MAX_WARNED) this.#warned.add(jobId)
    if (this.#warned.has(jobId)) return 'warn'
    if (!this.#isLimitTold) this.#logbook.moreDefinitionsDiffer(MAX_WARNED)
    this.#isLimitTold = true
    return 'debug'
  }
}

/** What a definition says; of the data, which is nobody's to read here, only what tells it from others. */
function valuesOf({ definition, trigger }: JobRecord): Values {
  const { id: _id, trigger: _trigger, task: _task, data: _data, ...options } = definition
  const data = dataFingerprint(definition)
  // As npm tells a process that it starts.
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
