import type { Clock } from '../../../types/clock.js'
import type { Change, CoordinationListener, OtherDefinition } from '../../../types/coordination.js'
import { SECOND } from '../../base/duration.js'
import { RedisUnavailableError } from '../../errors.js'
import { QuorumChanges } from './changes.js'
import { findSameServer, type Member, type NodeListener } from './member.js'
import { majorityOf } from './votes.js'

/** For how long the same news from several nodes counts as one. */
const BURST = SECOND / 10

/** Makes one listener of those of a quorum's nodes: a majority is up or down, and what all of them say is told once. */
export class QuorumListener implements NodeListener {
  readonly #listener: CoordinationListener
  readonly #clock: Clock
  readonly #recent = new Set<string>()
  #burstEnds = 0
  #up: boolean | null = null
  #closed = false
  /** Whether the time is that of a node: until one is up it is this process' own. */
  #isMeasured = false
  /** Nodes whose outage has been reported. */
  readonly #missing = new Set<Member>()

  readonly #changes: QuorumChanges

  /** @param masters how many there are */
  constructor(listener: CoordinationListener, clock: Clock, masters: number) {
    this.#listener = listener
    this.#clock = clock
    this.#changes = new QuorumChanges(masters, (changes, isComplete) => listener.onChanges(changes, isComplete))
  }

  readonly onChangesOf = (member: object, changes: readonly Change[], isComplete: boolean): void => {
    this.#changes.note(member, changes, isComplete)
  }

  readonly onClockStep = (): void => this.#listener.onClockStep()
  readonly onPast = (): void => this.#listener.onPast()
  readonly onUnsafe = (reason: string): void => this.#listener.onUnsafe(reason)
  // Nothing waits where several masters decide.
  readonly onWaiting = (): void => {}
  readonly onReplaced = (): void => {}
  readonly onNotice = (level: 'info' | 'warn', message: string): void => this.#listener.onNotice(level, message)

  readonly onHandedBack = (jobId: string, scheduledTime: number, by: string): void => {
    if (this.#isNew(`${scheduledTime} ${by} ${jobId}`)) this.#listener.onHandedBack(jobId, scheduledTime, by)
  }

  readonly onDefinitionDiffers = (jobId: string, tick: number, other: OtherDefinition): void => {
    if (this.#isNew(`differs ${tick} ${jobId}`)) this.#listener.onDefinitionDiffers(jobId, tick, other)
  }

  /** One of the nodes came up or went down. */
  update(members: readonly Member[]): void {
    if (this.#closed) return
    const most = majorityOf(members.length)
    const nodes = members.flatMap(({ node }) => (node.state.up ? [node] : []))
    const up = nodes.length
    if (nodes[0] !== undefined && !this.#isMeasured) {
      this.#isMeasured = true
      this.#listener.onClockStep(nodes[0].now() - this.#clock.now())
    }
    // At the start a node that has not been heard of yet is neither up nor down.
    const down = members.filter(({ node, trouble }) => (this.#up === null ? trouble !== null : !node.state.up))
    if (up >= most && this.#up !== true) {
      this.#up = true
      this.#listener.onUp()
    } else if (down.length > members.length - most && this.#up !== false) {
      this.#up = false
      const reason = down.map(({ at, trouble }) => trouble?.message ?? `the one${at} has not answered yet`).join('; ')
      const error = new RedisUnavailableError('be used on a majority of its masters', reason)
      this.#listener.onDown(
        error,
        down.every(({ refuses }) => refuses)
      )
    }
    this.#reportMissing(members)
    const same = findSameServer(members)
    if (same !== null) this.#listener.onUnsafe(`two of the masters are one server,${same}: it votes twice`)
    // The majority's clock may now be another one's.
    if (this.#up !== null) this.#listener.onClockStep()
  }

  close(): void {
    this.#closed = true
  }

  /** A minority that is down changes nothing, except that the next node to go down may. */
  #reportMissing(members: readonly Member[]): void {
    for (const member of members) {
      if (member.trouble === null && this.#missing.delete(member)) {
        if (this.#up === true) this.#listener.onNotice('info', `a master is back${member.at}`)
      } else if (member.trouble !== null && this.#up === true && !this.#missing.has(member)) {
        this.#missing.add(member)
        const reason = member.trouble.message
        this.#listener.onNotice('warn', `a master is missing, and the others decide without it: ${reason}`)
      }
    }
  }

  #isNew(what: string): boolean {
    const now = this.#clock.monotonic()
    if (now >= this.#burstEnds) {
      this.#recent.clear()
      this.#burstEnds = now + BURST
    }
    if (this.#recent.has(what)) return false
    this.#recent.add(what)
    return true
  }
}
