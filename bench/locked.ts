// What does a locked run cost, and does it run once? CPU of all replica processes, CPU of Redis, and commands per run.
import { type FleetResult, installedPeers, inTurn, runFleet } from './fleet.js'
import { NAMES, type Peer } from './load.js'
import { median, ratios } from './measure.js'
import type { Answer, Goal, Question, Scale, Table } from './question.js'
import { accuracy, type Tally, tally } from './ticks.js'

interface Size {
  readonly jobs: number
  readonly replicas: number
  /** Before the window, in seconds: V8 compiles what has run often enough, and less would measure the compiler. */
  readonly warmUp: number
  readonly seconds: number
  readonly rounds: number
}

interface Variant {
  readonly peer: Peer
  readonly masters: number
  readonly rounds: number
}

/** Medians over the rounds, per run. */
interface Cost {
  readonly size: Size
  readonly variant: Variant
  readonly cpu: number
  /** That CPU in each round. */
  readonly cpus: readonly number[]
  readonly redisCpu: number
  readonly sent: number
  readonly executed: number
  readonly tally: Tally
}

const SIZES: Readonly<Record<Scale, readonly Size[]>> = {
  full: [
    { jobs: 1000, replicas: 1, warmUp: 20, seconds: 6, rounds: 1 },
    { jobs: 1000, replicas: 3, warmUp: 30, seconds: 8, rounds: 4 },
    { jobs: 1000, replicas: 8, warmUp: 30, seconds: 8, rounds: 1 },
    { jobs: 5000, replicas: 1, warmUp: 12, seconds: 5, rounds: 1 },
    { jobs: 5000, replicas: 3, warmUp: 12, seconds: 5, rounds: 1 },
    { jobs: 5000, replicas: 8, warmUp: 15, seconds: 5, rounds: 1 }
  ],
  smoke: [{ jobs: 50, replicas: 2, warmUp: 0.5, seconds: 2, rounds: 1 }]
}

/** At most so much of the peer's CPU per run, on three replicas. */
const RATIOS: readonly { readonly jobs: number; readonly peer: Peer; readonly limit: number }[] = [
  { jobs: 1000, peer: 'classic', limit: 0.2 },
  { jobs: 1000, peer: 'bullmq', limit: 0.4 },
  { jobs: 5000, peer: 'classic', limit: 0.1 },
  { jobs: 5000, peer: 'bullmq', limit: 0.25 }
]

export const locked: Question = {
  title: 'What does a locked run cost?',

  async ask(scale: Scale): Promise<Answer> {
    const { peers, missing } = installedPeers()
    const costs: Cost[] = []
    for (const size of SIZES[scale]) costs.push(...(await costsOf(scale, size, peers)))
    return {
      text: `${TEXT}${missing}`,
      tables: [...new Set(costs.map(({ size }) => size.jobs))].map((jobs) => tableOf(jobs, costs)),
      plots: [
        {
          file: 'locked.svg',
          title: 'A locked run, 1,000 jobs due every second',
          x: { label: 'replicas', log: false },
          y: { label: 'CPU of all replicas per run, µs', log: false },
          series: peers.map((peer) => ({
            name: NAMES[peer],
            points: costs
              .filter(({ size, variant }) => size.jobs <= 1000 && variant.peer === peer && variant.masters === 1)
              .map(({ size, cpu }) => [size.replicas, cpu] as const)
          }))
        }
      ],
      goals: [...ratioGoals(costs), ...commandGoals(costs), ...accuracy(ours(costs).map(({ tally }) => tally))]
    }
  }
}

const TEXT = `All jobs are due every second, their handlers do nothing, and each peer has a fresh Redis and fresh
replica processes. The classic pattern is a croner timer for each job, and redlock's acquire and release round each run.
BullMQ has a job scheduler (\`every\`, which costs it half of what a pattern does) for each job, and one worker with a
concurrency of 64 in each replica; it keeps nothing of finished jobs, and its metrics are off. Ours has metrics and finish
records on. The window begins after 12 to 30 s, in the middle of a second, and ends so. CPU is that of all replicas together (user and system),
in µs per tick whose run began in the window; a tick that runs twice is one tick. Redis' own CPU is beside it. Commands
sent are counted in the replicas; those inside scripts are Redis' \`commandstats\`. A tick has run if it began at most 1.5 s
after the window: a peer that falls further behind shows it there.`

async function costsOf(scale: Scale, size: Size, peers: readonly Peer[]): Promise<Cost[]> {
  // What is far from its goal, or has none, needs no more.
  const rounds = Math.min(size.rounds, 2)
  const variants: Variant[] = peers.map((peer) => ({
    peer,
    masters: 1,
    rounds: peer === 'bullmq' ? rounds : size.rounds
  }))
  if (size.jobs === 1000 && size.replicas === 3) variants.push({ peer: 'scheduler', masters: 3, rounds })
  const { jobs, replicas, seconds } = size
  const results = await inTurn(scale, size.rounds, variants, ({ peer, masters }) =>
    runFleet({
      peer,
      load: { jobs, due: 'second' },
      replicas,
      masters,
      warmUp: size.warmUp * 1000,
      seconds
    })
  )
  return variants.flatMap((variant) => {
    const rounds = results.get(variant) ?? []
    if (rounds.length === 0) return []
    const perRun = (read: (result: FleetResult) => number): number =>
      median(rounds.map((result) => read(result) / result.runs))
    return {
      size,
      variant,
      cpu: perRun(({ cpu }) => cpu),
      cpus: rounds.map(({ cpu, runs }) => cpu / runs),
      redisCpu: perRun(({ redisCpu }) => redisCpu),
      sent: perRun(({ sent }) => sent),
      executed: perRun(({ executed }) => executed),
      tally: tally(rounds)
    }
  })
}

function tableOf(jobs: number, costs: readonly Cost[]): Table {
  return {
    caption: `${jobs.toLocaleString('en')} jobs due every second`,
    header: [
      'peer',
      'replicas',
      'CPU per run, µs',
      'in that of classic',
      "Redis' CPU per run, µs",
      'commands sent per run',
      'with those inside scripts',
      'ran of due',
      'doubled, %'
    ],
    rows: costs
      .filter(({ size }) => size.jobs === jobs)
      .map(({ size, variant, cpu, cpus, redisCpu, sent, executed, tally }) => {
        const classic = costs.find((cost) => cost.size === size && cost.variant.peer === 'classic')
        return [
          variant.masters === 1 ? NAMES[variant.peer] : `${NAMES[variant.peer]}, quorum of ${variant.masters} masters`,
          size.replicas,
          cpu.toFixed(1),
          classic === undefined ? '' : median(ratios(cpus, classic.cpus)).toFixed(3),
          redisCpu.toFixed(1),
          sent.toFixed(2),
          executed.toFixed(1),
          ...tally.cells
        ]
      })
  }
}

function ratioGoals(costs: readonly Cost[]): Goal[] {
  return RATIOS.flatMap(({ jobs, peer, limit }) => {
    const of = (wanted: Peer): Cost | undefined =>
      costs.find(
        ({ size, variant }) =>
          size.jobs === jobs && size.replicas === 3 && variant.peer === wanted && variant.masters === 1
      )
    const [mine, theirs] = [of('scheduler'), of(peer)]
    if (mine === undefined || theirs === undefined) return []
    const what = `CPU per run in that of ${NAMES[peer]}, ${jobs.toLocaleString('en')} jobs on 3 replicas`
    return { what, limit, rounds: ratios(mine.cpus, theirs.cpus) }
  })
}

/** Of one Redis, the largest of all sizes. */
function commandGoals(costs: readonly Cost[]): Goal[] {
  const single = ours(costs).filter(({ variant }) => variant.masters === 1)
  return [
    { what: 'commands sent to Redis per run', limit: 1, rounds: [Math.max(...single.map(({ sent }) => sent))] },
    {
      what: 'commands per run with those inside scripts',
      limit: 15,
      rounds: [Math.max(...single.map(({ executed }) => executed))]
    }
  ]
}

function ours(costs: readonly Cost[]): Cost[] {
  return costs.filter(({ variant }) => variant.peer === 'scheduler')
}
