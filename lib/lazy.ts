import { createRequire } from 'node:module'

// By `require`, as it is synchronous where `import` is not, and as Node reads a package of CommonJS twice to import it: for
// the names it exports, and to run it. What is loaded stays so.
const load = createRequire(import.meta.url)

// Of every service:
export const createError: typeof import('@fastify/error').default = load('@fastify/error')
export const fp: typeof import('fastify-plugin').default = load('fastify-plugin')

// What not every service uses is loaded where it is first used, and not with this package:

/** ms, for durations that are strings. */
export const loadMs = (): typeof import('ms') => load('ms')

/** ioredis, for the clients the scheduler opens; one of the app's is the app's to load. */
export const loadIoredis = (): typeof import('ioredis') => load('ioredis')

/** redlock, for locks in Redis. */
export const loadRedlock = (): typeof import('redlock') => load('redlock')

/** prom-client, for a registry of the scheduler's own. */
export const loadPromClient = (): typeof import('prom-client') => load('prom-client')

/** croner, which parses cron strings. */
export const loadCroner = (): typeof import('croner') => load('croner')

/** fastest-levenshtein, which finds the option that was meant by one that does not exist. */
export const loadLevenshtein = (): typeof import('fastest-levenshtein') => load('fastest-levenshtein')
