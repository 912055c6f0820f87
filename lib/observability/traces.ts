import { tracingChannel } from 'node:diagnostics_channel'

// The channels that OpenTelemetry and its like subscribe to. Without subscribers nothing is made for them. What a subscriber
// throws does not come back here: node reports it as an uncaught exception of the process.

/** Wraps each call to the store for claims. The message is a `ClaimTrace`. */
export const claimChannel = tracingChannel('fastify-redlock-scheduler:claim')

/** Wraps each run, from its beginning until its outcome is known. The message is a `RunTrace`. */
export const runChannel = tracingChannel('fastify-redlock-scheduler:run')

export const ATTEMPT_CHANNEL = 'fastify-redlock-scheduler:attempt'

/** Wraps each call of a handler. The message is an `AttemptTrace`. */
export const attemptChannel = tracingChannel(ATTEMPT_CHANNEL)

/** Where the message of an attempt has its scheduler's clock, by which the testing kit knows whose run it is. */
export const RUN_CLOCK = Symbol.for('fastify-redlock-scheduler:clock')
