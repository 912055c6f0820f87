// The errors that Redis replies with.

/**
 * Errors by which Redis refuses every client before anything is executed: no claim is granted until that has passed.
 * Redis 6 wraps an error that a script receives in a message of its own, `ERR ... -OOM ...`.
 */
const REFUSED =
  /(?:^|-)(?:OOM|NOREPLICAS|MISCONF|READONLY|NOAUTH|WRONGPASS|LOADING|BUSY|UNKILLABLE|CLUSTERDOWN|MASTERDOWN|TRYAGAIN) |max number of clients/

const NO_DATABASE = /DB index is out of range/

/**
 * Errors by which an ACL forbids a command: what a script did before that command stands. Redis 7.2 and Valkey have other words
 * for it than those before.
 */
const FORBIDDEN = /(?:^|-)NOPERM |can't run this command|can't access at least one of the keys|ACL failure in script/

/** Those of `REFUSED` by which the server is not the master, or is a master cut off from its replicas. */
const OF_REPLICA = /(?:^|-)(?:READONLY|NOREPLICAS|MASTERDOWN) /

/** An error that Redis itself replied with. */
export class RefusalError extends Error {
  override readonly name = 'ReplyError'
}

/**
 * Whether an error is a reply of Redis itself. The name is that of a class of ioredis, which a minifier changes: then it is
 * one to a command, whose message begins with a kind in capitals, by a convention of the protocol.
 */
export function isReplyError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  return error.name === 'ReplyError' || ('command' in error && /^[A-Z][A-Z\d_]+ /.test(error.message))
}

/** Whether Redis refuses every client, and not only this request. */
export function isRefusal(error: Error): boolean {
  return isPassing(error) || NO_DATABASE.test(error.message) || FORBIDDEN.test(error.message)
}

/** Whether Redis refuses every request for a while. */
export function isPassing(error: Error): boolean {
  return REFUSED.test(error.message)
}

/** Whether a request that failed with this error was certainly not executed, not even in part. */
export function isUndone(error: unknown): boolean {
  return isReplyError(error) && isPassing(error)
}

/** Whether an ACL forbids a command of a script, and the error names none, or one of several. */
export function isVague(error: Error): boolean {
  return /can't run this command|ACL failure in script: .* command/.test(error.message)
}

/** Whether another server may be the master by now. */
export function isOfReplica(error: Error): boolean {
  return OF_REPLICA.test(error.message)
}

/** Whether Redis is loading its data, as it does after a restart. */
export function isLoading(error: Error): boolean {
  return error.message.startsWith('LOADING ')
}

/** Whether Redis refuses the credentials. */
export function isAuthError(error: unknown): boolean {
  return isReplyError(error) && /^(WRONGPASS|NOAUTH|ERR invalid password|ERR AUTH)/.test(error.message)
}

/** Whether the error is the reply to ioredis' SELECT; ioredis then goes on with database 0. */
export function isSelectError(error: unknown): boolean {
  return isReplyError(error) && (error as { command?: { name?: string } }).command?.name === 'select'
}

/** The message of an error, without the digest of the script that it arose in. */
export function messageOf(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).replace(/ script: [0-9a-f]{40}, on .*$/, '')
  // What ioredis says names an option that the scheduler sets.
  return message.startsWith('Reached the max retries per request')
    ? 'the connection was lost before it answered'
    : message
}
