import { Redis } from 'ioredis'
import type { StartPeer } from './serve.js'

/** A process that sends Redis a PING each second, and nothing else: the least that anything costs which is to be heard of within one. */
export const start: StartPeer = async ({ ports }) => {
  const redis = new Redis(ports[0] as number)
  await redis.ping()
  setInterval(() => void redis.ping(), 1000)
}
