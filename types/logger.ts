// biome-ignore lint/suspicious/noTsIgnore: fastify is an optional peer, without which its types are `any` and no error
/** @ts-ignore */
import type { FastifyBaseLogger } from 'fastify'

/** A pino-like logger, as Fastify's is. */
export type Logger = FastifyBaseLogger
