// What Redis answers when it does not do what it is asked.

/**
 * Of Redis' errors those by which it refuses everybody, before anything is done: no claim can be had until that is over.
 * Redis 6 wraps what a script is told into a message of its own, `ERR ... -OOM ...`.
 */
const REFUSED =
  /(?:^|-)(?:OOM|NOREPLICAS|MISCONF|READONLY|NOAUTH|WRONGPASS|LOADING|BUSY|UNKILLABLE|CLUSTERDOWN|MASTERDOWN|TRYAGAIN) |max number of clients/

const NO_DATABASE = /DB index is out of range/

/** Those by which it does not let the user do something: a script may have done what comes before. */
const FORBIDDEN = /(?:^|-)NOPERM |can't run this command|can't access at least one of the keys/

/** Of the former those by which it is not the master, or one that is cut off from its replicas. */
const OF_REPLICA = /(?:^|-)(?:READONLY|NOREPLICAS|MASTERDOWN) /

/** An error that Redis itself has answered. */
export class RefusalError extends Error {
  override readonly name = 'ReplyError'
}

/** Whether Redis itself has answered with an error. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/** Whether it refuses everybody, and not just this request. */
export function isRefusal(error: Error): boolean {
  return isPassing(error) || NO_DATABASE.test(error.message) || FORBIDDEN.test(error.message)
}

/** Whether it refuses everything for a while, whatever it is asked. */
export function isPassing(error: Error): boolean {
  return REFUSED.test(error.message)
}

/** Whether what was refused so was certainly not done, and no part of it. */
export function isUndone(error: unknown): boolean {
  return isReplyError(error) && isPassing(error)
}

/** Whether a script may not run some command, and Redis does not say which. */
export function isVague(error: Error): boolean {
  return error.message.includes("can't run this command")
}

/** Whether another server may be the master by now. */
export function isOfReplica(error: Error): boolean {
  return OF_REPLICA.test(error.message)
}

/** Whether it loads its data, as it does after a restart. */
export function isLoading(error: Error): boolean {
  return error.message.startsWith('LOADING ')
}

/** Whether it refuses the credentials. */
export function isAuthError(error: unknown): boolean {
  return isReplyError(error) && /^(WRONGPASS|NOAUTH|ERR invalid password|ERR AUTH)/.test(error.message)
}

/** Whether it answers ioredis' choice of a database, after which ioredis goes on with database 0. */
export function isSelectError(error: unknown): boolean {
  return isReplyError(error) && (error as { command?: { name?: string } }).command?.name === 'select'
}

/** What an error says, without the name of the script in which it came up. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/ script: [0-9a-f]{40}, on .*$/, '')
}
