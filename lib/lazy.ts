import { createRequire } from 'node:module'

// Loaded by `require`, as `import()` is asynchronous, and as Node reads a CommonJS package twice to import it: once for
// the names of its exports, once to run it. A loaded module stays loaded.
const load = createRequire(import.meta.url)

// Every service needs these:
export const createError: typeof import('@fastify/error').default = load('@fastify/error')
export const fp: typeof import('fastify-plugin').default = load('fastify-plugin')

// These are loaded on first use rather than with this package, as not every service needs them:

/** ms, for durations that are strings. */
export const loadMs = (): typeof import('ms') => load('ms')

/** ioredis, for clients that the scheduler opens from a URL or options. */
export const loadIoredis = (): typeof import('ioredis') => load('ioredis')

/** redlock, for locks in Redis. */
export const loadRedlock = (): typeof import('redlock') => load('redlock')

/** prom-client, for a registry of the scheduler's own. */
export const loadPromClient = (): typeof import('prom-client') => load('prom-client')

/** croner, which parses cron strings. */
export const loadCroner = (): typeof import('croner') => load('croner')

/** fastest-levenshtein, which finds the option that a misspelt one was meant to be. */
export const loadLevenshtein = (): typeof import('fastest-levenshtein') => load('fastest-levenshtein')
