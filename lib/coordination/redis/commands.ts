import type { Cluster, Redis } from 'ioredis'
import * as scripts from './scripts.js'

/** What was handed back, as the hash has it: each job's id, followed by `tick run time`. */
export type HandedFields = readonly string[]

export type ClaimReply = [
  micros: number,
  answers: string,
  differing: string,
  handed: HandedFields,
  taken?: string,
  version?: string
]

export type ProbeReply = [
  micros: number,
  handed: HandedFields,
  refused: string,
  info: string,
  fence: string,
  version: string
]

/** What is known of a job's ticks; an error alone, as text, where that cannot be read. */
export type HistoryReply = [
  runs: string[] | string,
  ticks: string[],
  record: string,
  since: string,
  open: string[],
  progress: string[],
  waiting: string,
  now: number
]

/** The scripts as ioredis commands: EVALSHA, and EVAL when Redis does not know the script. What each takes, its file says. */
export interface ScriptCommands {
  rlsClaim(keyCount: number, ...args: (string | number)[]): Promise<ClaimReply>
  rlsFinish(keyCount: number, ...args: string[]): Promise<string>
  rlsHandBack(keyCount: number, ...args: string[]): Promise<string>
  rlsAcquire(
    keyCount: number,
    ...args: (string | number)[]
  ): Promise<[micros: number, fencingToken: number, holder?: string]>
  rlsConfirm(keyCount: number, ...args: (string | number)[]): Promise<string>
  rlsAdopt(keyCount: number, ...args: string[]): Promise<null>
  rlsChange(keyCount: number, ...args: string[]): Promise<[status: string, entry: string]>
  rlsStanding(
    keyCount: number,
    key: string
  ): Promise<[version: string, ofJobs: string[], ofOthers: string[], skips: string[], overrides: string[]]>
  rlsPauses(keyCount: number, ...args: string[]): Promise<string[]>
  rlsSince(keyCount: number, ...args: string[]): Promise<string>
  rlsTime(
    keyCount: number,
    ...args: string[]
  ): Promise<number | [micros: number, handed: HandedFields, version: string]>
  rlsLook(
    keyCount: number,
    key: string
  ): Promise<
    [
      micros: number,
      fence: string,
      serverId: string,
      found: string[],
      waiting: string[],
      version: string,
      handed: HandedFields
    ]
  >
  rlsEnqueue(keyCount: number, ...args: string[]): Promise<[id: string, isOwn: '0' | '1']>
  rlsAbandon(keyCount: number, ...args: string[]): Promise<string>
  rlsReopen(keyCount: number, ...args: string[]): Promise<null>
  rlsNote(keyCount: number, ...args: string[]): Promise<string>
  rlsTails(keyCount: number, ...args: string[]): Promise<string[][]>
  rlsHistory(keyCount: number, ...args: string[]): Promise<HistoryReply>
  rlsProbe(keyCount: number, ...args: string[]): Promise<ProbeReply>
}

const TEXTS = {
  rlsClaim: scripts.CLAIM_SCRIPT,
  rlsFinish: scripts.FINISH_SCRIPT,
  rlsHandBack: scripts.HAND_BACK_SCRIPT,
  rlsAcquire: scripts.ACQUIRE_SCRIPT,
  rlsConfirm: scripts.CONFIRM_SCRIPT,
  rlsAdopt: scripts.ADOPT_SCRIPT,
  rlsChange: scripts.CHANGE_SCRIPT,
  rlsStanding: scripts.STANDING_SCRIPT,
  rlsPauses: scripts.PAUSES_SCRIPT,
  rlsSince: scripts.SINCE_SCRIPT,
  rlsTime: scripts.TIME_SCRIPT,
  rlsLook: scripts.LOOK_SCRIPT,
  rlsEnqueue: scripts.ENQUEUE_SCRIPT,
  rlsAbandon: scripts.ABANDON_SCRIPT,
  rlsReopen: scripts.REOPEN_SCRIPT,
  rlsNote: scripts.NOTE_SCRIPT,
  rlsTails: scripts.TAILS_SCRIPT,
  rlsHistory: scripts.HISTORY_SCRIPT,
  rlsProbe: scripts.PROBE_SCRIPT
} satisfies Record<keyof ScriptCommands, string>

/** Gives a client the scripts as commands. */
export function defineScripts(client: Redis | Cluster): ScriptCommands {
  for (const [name, lua] of Object.entries(TEXTS)) client.defineCommand(name, { lua })
  return client as unknown as ScriptCommands
}
