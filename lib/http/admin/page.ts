import { gunzipSync } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'

/** Serves the dashboard's page and its files from memory. */
export async function servePage(app: FastifyInstance): Promise<void> {
  const { ASSETS } = await import('./assets.js')
  const schema = { hide: true } as FastifySchema
  for (const [name, asset] of Object.entries(ASSETS)) {
    const url = name === 'index.html' ? '/' : `/${name}`
    // Decoded when it is first asked for.
    let compressed: Buffer | null = null
    app.get(url, { schema, logLevel: 'warn' }, async (request, reply) => {
      if (url === '/' && !pathOf(request).endsWith('/')) return toFolder(request, reply)
      compressed ??= Buffer.from(asset.gzip, 'base64')
      reply.type(asset.type).header('vary', 'accept-encoding')
      if (!/\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))) return gunzipSync(compressed)
      return reply.header('content-encoding', 'gzip').send(compressed)
    })
  }
}

function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0] as string
}

/**
 * The page's files are told relative to its folder, as only a proxy knows the path that a browser sees: so it has a slash at its
 * end, and this is told relatively as well.
 */
function toFolder(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.redirect(`${pathOf(request).split('/').at(-1)}/`, 302)
}
