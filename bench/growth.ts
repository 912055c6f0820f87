// How does a run's cost grow? With replicas, at 1,000 runs a second; and with jobs, at the same number of runs.
import { type FleetResult, inTurn, runFleet } from './fleet.js'
import { type Load, NAMES, type Peer } from './load.js'
import { median, ratios } from './measure.js'
import type { Answer, Plot, Question, Scale, Table } from './question.js'
import { accuracy, type Tally, tally } from './ticks.js'

interface Variant {
  readonly peer: Peer | 'none'
  readonly load: Load
  readonly replicas: number
  readonly rounds: number
}

interface Settings {
  /** Of 1,000 and of the most jobs, which the goal is about; the others run once: they are far from their goal or have none. */
  readonly rounds: number
  readonly seconds: number
  readonly warmUp: number
  /** Jobs that are due every second, on each of so many replicas. */
  readonly jobs: number
  readonly replicas: readonly number[]
  readonly classicReplicas: readonly number[]
  /** Loads with equally many runs a second, on one replica. */
  readonly loads: readonly Load[]
}

/** What one variant cost, in medians over the rounds. */
interface Cost {
  readonly variant: Variant
  /** CPU of all replicas per run, in microseconds, and what it was in each round. */
  readonly perRun: number
  readonly rounds: readonly number[]
  /** That of Redis per run, in microseconds. */
  readonly redisPerRun: number
  /** That of all replicas per second, in milliseconds. */
  readonly perSecond: number
  readonly tally: Tally
}

const SETTINGS: Readonly<Record<Scale, Settings>> = {
  full: {
    rounds: 4,
    seconds: 6,
    warmUp: 20_000,
    jobs: 1000,
    replicas: [1, 2, 4, 8, 16],
    classicReplicas: [1, 4, 8],
    loads: [
      { jobs: 100, due: 100 },
      { jobs: 1000, due: 1000 },
      { jobs: 10_000, due: 10_000 },
      { jobs: 100_000, due: 100_000 }
    ]
  },
  smoke: {
    rounds: 1,
    seconds: 2,
    warmUp: 500,
    jobs: 20,
    replicas: [1, 2],
    classicReplicas: [1],
    loads: [
      { jobs: 10, due: 100 },
      { jobs: 100, due: 1000 }
    ]
  }
}

export const growth: Question = {
  title: "How does a run's cost grow?",

  async ask(scale: Scale): Promise<Answer> {
    const settings = SETTINGS[scale]
    const byReplicas = replicaVariants(settings)
    const shares = shareVariants(settings)
    const byJobs = jobVariants(settings)
    const all = await costs(scale, settings, [...byReplicas, ...shares, ...byJobs, ...idleVariants(settings)])
    const replicas = all.filter(({ variant }) => byReplicas.includes(variant))
    const jobs = all.filter(({ variant }) => byJobs.includes(variant))
    const idle = all.filter(({ variant }) => variant.load.due === 'never')
    const ours = all.filter(({ variant }) => variant.peer === 'scheduler')
    return {
      text: TEXT,
      tables: [
        tableOf(
          `${settings.jobs.toLocaleString('en')} jobs due every second, on more and more replicas`,
          ['replicas', 'in that of one replica'],
          replicas,
          ({ replicas }) => replicas,
          ({ replicas }) => replicas === 1
        ),
        {
          caption: 'One replica alone, with the share of the jobs that each of so many replicas runs',
          header: ['as one of', 'jobs', 'CPU per run, µs', "Redis' CPU per run, µs"],
          rows: all
            .filter(({ variant }) => shares.includes(variant))
            .map(({ variant: { load }, perRun, redisPerRun }) => [
              Math.round(settings.jobs / load.jobs),
              load.jobs.toLocaleString('en'),
              perRun.toFixed(1),
              redisPerRun.toFixed(1)
            ])
        },
        {
          caption: `A replica with ${settings.jobs.toLocaleString('en')} jobs, none of them due, and a process without any`,
          header: ['peer', 'CPU, ms per second'],
          rows: idle.map(({ variant, perSecond }) => [NAMES[variant.peer], perSecond.toFixed(2)])
        },
        tableOf(
          'More and more jobs on one replica, equally many runs a second',
          ['jobs', 'in that of jobs due every second'],
          jobs,
          ({ load }) => load.jobs.toLocaleString('en'),
          ({ load }) => load.due === 1000
        )
      ],
      plots: [
        plotOf(
          'growth-replicas.svg',
          `A locked run, ${settings.jobs.toLocaleString('en')} jobs due every second`,
          { label: 'replicas', log: false },
          replicas,
          ({ replicas }) => replicas
        ),
        plotOf(
          'growth-jobs.svg',
          'A locked run on one replica, 1,000 runs a second',
          { label: 'jobs', log: true },
          jobs,
          ({ load }) => load.jobs
        )
      ],
      goals: [
        {
          what: "what a further replica adds, in a run's CPU on one replica",
          limit: 0.03,
          rounds: growthPerReplica(replicas)
        },
        ...jobGoal(jobs),
        ...accuracy(ours.map(({ tally }) => tally))
      ]
    }
  }
}

const TEXT = `CPU is that of all replicas together (user and system) per run; the handlers do nothing. In the first table
every job is due every second, by a cron expression. What a further replica adds is the slope of a line through ours, by
least squares, in its cost on one replica. A replica of many runs seldom, and what runs seldom is dear: the second table has
one replica alone with as few runs as it would have among others. In the last, a job is due the less often the more jobs there are: 100 jobs
every 0.1 s, 1,000 every second, 10,000 every 10 s, 100,000 every 100 s, spread evenly over whole seconds, so that there are
1,000 runs a second throughout. All jobs have been due once before the window. The classic pattern takes part where it can:
its timers are not finer than a second, its cron patterns cannot say every 100 seconds, and 100,000 of them would take
some 9 GB.`

function replicaVariants({ jobs, replicas, classicReplicas }: Settings): Variant[] {
  const load: Load = { jobs, due: 'second' }
  return replicas.flatMap((count) => [
    { peer: 'scheduler' as const, load, replicas: count, rounds: 1 },
    ...(classicReplicas.includes(count) ? [{ peer: 'classic' as const, load, replicas: count, rounds: 1 }] : [])
  ])
}

/** One replica, with the jobs that each of several replicas runs. */
function shareVariants({ jobs, replicas }: Settings): Variant[] {
  return replicas
    .filter((count) => count > 1)
    .map((count) => ({
      peer: 'scheduler' as const,
      load: { jobs: Math.round(jobs / count), due: 'second' as const },
      replicas: 1,
      rounds: 1
    }))
}

function jobVariants({ loads, rounds }: Settings): Variant[] {
  const classic = (load: Load): boolean => typeof load.due === 'number' && load.due >= 1000 && load.due <= 60_000
  const most = Math.max(...loads.map(({ jobs }) => jobs))
  return loads.flatMap((load) => [
    { peer: 'scheduler' as const, load, replicas: 1, rounds: load.jobs === 1000 || load.jobs === most ? rounds : 1 },
    ...(classic(load) ? [{ peer: 'classic' as const, load, replicas: 1, rounds: 1 }] : [])
  ])
}

function idleVariants({ jobs }: Settings): Variant[] {
  const load: Load = { jobs, due: 'never' }
  return (['scheduler', 'none'] as const).map((peer) => ({ peer, load, replicas: 1, rounds: 1 }))
}

async function costs(scale: Scale, settings: Settings, variants: readonly Variant[]): Promise<Cost[]> {
  const { rounds, seconds, warmUp } = settings
  const results = await inTurn(scale, rounds, variants, (variant) => {
    const { due } = variant.load
    // Every job runs once before the window: its first run is another one.
    return runFleet({
      ...variant,
      warmUp: typeof due === 'number' ? Math.max(due + warmUp / 2, warmUp) : warmUp,
      seconds
    })
  })
  return variants.flatMap((variant) => {
    const all: readonly FleetResult[] = results.get(variant) ?? []
    if (all.length === 0) return []
    const rounds = all.map(({ cpu, runs }) => cpu / runs)
    return {
      variant,
      perRun: median(rounds),
      rounds,
      redisPerRun: median(all.map(({ redisCpu, runs }) => redisCpu / runs)),
      perSecond: median(all.map(({ cpu }) => cpu / 1000 / seconds)),
      tally: tally(all)
    }
  })
}

/** A row for each variant, and its cost in that of the same peer where `isBase` holds. */
function tableOf(
  caption: string,
  [axis, ratio]: readonly [axis: string, ratio: string],
  costs: readonly Cost[],
  read: (variant: Variant) => number | string,
  isBase: (variant: Variant) => boolean
): Table {
  return {
    caption,
    header: ['peer', axis, 'CPU per run, µs', ratio, 'ran of due', 'doubled, %'],
    rows: costs.map(({ variant, perRun, tally }) => {
      const base = costs.find((cost) => cost.variant.peer === variant.peer && isBase(cost.variant))
      const times = base === undefined ? '' : (perRun / base.perRun).toFixed(2)
      return [NAMES[variant.peer], read(variant), perRun.toFixed(1), times, ...tally.cells]
    })
  }
}

function plotOf(
  file: string,
  title: string,
  x: Plot['x'],
  costs: readonly Cost[],
  read: (variant: Variant) => number
): Plot {
  const peers = [...new Set(costs.map(({ variant }) => variant.peer))]
  return {
    file,
    title,
    x,
    y: { label: 'CPU of all replicas per run, µs', log: false },
    series: peers.map((peer) => ({
      name: NAMES[peer],
      points: costs
        .filter(({ variant }) => variant.peer === peer)
        .map(({ variant, perRun }) => [read(variant), perRun] as const)
    }))
  }
}

/** The slope of ours over the replicas, by least squares, in its cost on one replica; of each round. */
function growthPerReplica(costs: readonly Cost[]): readonly number[] {
  const ours = costs.filter(({ variant }) => variant.peer === 'scheduler')
  const alone = ours.find(({ variant }) => variant.replicas === 1)?.rounds ?? []
  return alone.map((base, round) => {
    const slope = slopeOf(ours.map(({ variant, rounds }) => [variant.replicas, rounds[round] ?? Number.NaN]))
    return slope / base
  })
}

/** Of a line through the points, by least squares. */
function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const covariance = mean(points.map(([x, y]) => (x - meanX) * (y - meanY)))
  const variance = mean(points.map(([x]) => (x - meanX) ** 2))
  return covariance / variance
}

/** The cost of a run must not grow with the jobs; the margin is for noise. */
function jobGoal(costs: readonly Cost[]): Answer['goals'] {
  const of = (jobs: number): readonly number[] | undefined =>
    costs.find(({ variant }) => variant.peer === 'scheduler' && variant.load.jobs === jobs)?.rounds
  const [few, many] = [of(1000), of(100_000)]
  if (few === undefined || many === undefined) return []
  return [{ what: 'CPU per run with 100,000 jobs in that with 1,000', limit: 1.15, rounds: ratios(many, few) }]
}
