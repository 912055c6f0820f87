// Who may see the admin routes, and do what: for each rule the attack that it stops.
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import t from 'tap'
import scheduler, { type AdminOptions } from '../../../lib/index.js'

const JSON_TYPE = { 'content-type': 'application/json' }

async function withAdmin(admin: AdminOptions, body: (app: FastifyInstance) => Promise<void>): Promise<void> {
  const app = Fastify()
  try {
    await app.register(scheduler, { admin: { prefix: '/ops', ...admin }, autostart: false })
    app.jobs.add({ id: 'report', trigger: { interval: '1h' }, handler: () => {} })
    await app.ready()
    await body(app)
  } finally {
    await app.close()
  }
}

const pause = (headers: Record<string, string> = {}): InjectOptions => ({
  method: 'POST',
  url: '/ops/api/pause',
  headers: { ...JSON_TYPE, ...headers },
  payload: JSON.stringify({ job: 'report', note: 'test' })
})

t.test('without the option there are no routes', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(scheduler, { autostart: false })
  t.equal((await app.inject('/scheduler/api/jobs')).statusCode, 404)
})

t.test('without `authorize` only this machine may look, and nobody may act', async (t) => {
  await withAdmin({}, async (app) => {
    t.equal((await app.inject('/ops/api/jobs')).statusCode, 200)
    const refused: [string, InjectOptions][] = [
      ['another address', { url: '/ops/api/jobs', remoteAddress: '10.0.0.1' }],
      ['a proxy', { url: '/ops/api/jobs', headers: { 'x-forwarded-for': '127.0.0.1' } }],
      ['a name that points here', { url: '/ops/api/jobs', headers: { host: 'evil.example' } }],
      ['a proxy, for the page', { url: '/ops/', headers: { forwarded: 'for=127.0.0.1' } }],
      ['another address, for a file', { url: '/ops/app.js', remoteAddress: '10.0.0.1' }],
      ['another address, for the stream', { url: '/ops/api/events', remoteAddress: '10.0.0.1' }],
      ['another address, for nothing', { url: '/ops/api/nothing', remoteAddress: '10.0.0.1' }],
      ['an action', pause()]
    ]
    for (const [what, options] of refused) {
      const { statusCode, body } = await app.inject(options)
      t.equal(statusCode, 403, what)
      t.match(JSON.parse(body), { code: 'FST_ERR_RLS_ADMIN_FORBIDDEN', statusCode: 403 }, what)
    }
    t.equal(app.jobs.get('report')?.paused, false)
    const fleet = (await app.inject('/ops/api/fleet')).json()
    t.strictSame(fleet.you, { user: null, can: [] })
  })
})

t.test('`authorize` may refuse, allow, name, limit, and answer by itself', async (t) => {
  let answer: unknown
  const authorize: AdminOptions['authorize'] = async (_request, reply) => {
    if (answer === 'login') return reply.redirect('/login')
    if (answer === 'sent') {
      reply.code(401).send({ login: true })
      return undefined
    }
    if (answer instanceof Error) throw answer
    return answer as boolean
  }
  await withAdmin({ authorize }, async (app) => {
    const remote = { remoteAddress: '10.0.0.1' }
    for (const refused of [false, undefined, null]) {
      answer = refused
      for (const url of ['/ops/', '/ops/app.js', '/ops/api/jobs', '/ops/api/events', '/ops/nothing']) {
        t.equal((await app.inject({ url, ...remote })).statusCode, 403, `${url} ${refused}`)
      }
      t.equal((await app.inject({ ...pause(), ...remote })).statusCode, 403)
    }
    answer = 'login'
    const redirected = await app.inject({ url: '/ops/', ...remote })
    t.match([redirected.statusCode, redirected.headers.location], [302, '/login'])
    answer = 'sent'
    t.match((await app.inject({ ...pause(), ...remote })).statusCode, 401)
    answer = { user: 'jonas', can: ['resume'] }
    t.equal((await app.inject({ url: '/ops/api/jobs', ...remote })).statusCode, 200)
    t.equal((await app.inject(pause())).statusCode, 403)
    t.equal(app.jobs.get('report')?.paused, false)
    for (const wrong of [{ user: '' }, { user: 'x', can: ['nothing'] }, { user: 'x', role: 'admin' }, 1]) {
      answer = wrong
      t.not((await app.inject('/ops/api/jobs')).statusCode, 200, JSON.stringify(wrong))
    }
    answer = new Error('secret of the database')
    const failed = await app.inject('/ops/api/jobs')
    t.equal(failed.statusCode, 500)
    t.notMatch(failed.body, /secret/)
    answer = { user: 'mara' }
    t.equal((await app.inject(pause())).statusCode, 200)
    t.match(app.jobs.get('report')?.pauses, [{ by: 'mara', note: 'test' }])
  })
})

t.test('another site cannot act', async (t) => {
  await withAdmin({ authorize: () => true }, async (app) => {
    const foreign: [string, InjectOptions][] = [
      ['Sec-Fetch-Site cross-site', pause({ 'sec-fetch-site': 'cross-site' })],
      ['Sec-Fetch-Site same-site', pause({ 'sec-fetch-site': 'same-site' })],
      ['Origin', pause({ origin: 'https://evil.example' })],
      ['Origin null', pause({ origin: 'null' })]
    ]
    for (const [what, options] of foreign) t.equal((await app.inject(options)).statusCode, 403, what)
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      t.equal((await app.inject(pause({ 'content-type': type }))).statusCode, 415, type)
    }
    t.equal((await app.inject({ method: 'POST', url: '/ops/api/pause' })).statusCode, 400, 'no body')
    t.equal((await app.inject({ url: '/ops/api/pause?job=report' })).statusCode, 404, 'GET')
    t.equal(app.jobs.get('report')?.paused, false)
    const own = [
      pause({ 'sec-fetch-site': 'same-origin' }),
      pause({ origin: 'http://localhost:80', host: 'localhost:80' })
    ]
    for (const options of own) t.equal((await app.inject(options)).statusCode, 200)
  })
})

t.test('each answer has the headers that keep a browser from harm', async (t) => {
  await withAdmin({}, async (app) => {
    for (const url of [
      '/ops/',
      '/ops/app.js',
      '/ops/app.css',
      '/ops/api/jobs',
      '/ops/api/job?id=none',
      '/ops/nothing'
    ]) {
      const { headers } = await app.inject(url)
      t.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self'; style-src 'self'/, url)
      t.match(headers['content-security-policy'], /frame-ancestors 'none'/, url)
      t.equal(headers['x-content-type-options'], 'nosniff', url)
      t.equal(headers['cache-control'], 'no-store', url)
      t.equal(headers['access-control-allow-origin'], undefined, url)
    }
    const page = await app.inject('/ops/')
    t.notMatch(page.body, /<script(?![^>]*src=)|\sstyle=|\son\w+=/, 'the page has no script or style of its own')
    const moved = await app.inject('/ops')
    t.match([moved.statusCode, moved.headers.location], [302, 'ops/'])
  })
})

t.test('what is given is checked', async (t) => {
  const wrong: [object, string][] = [
    [{ prefix: 'ops' }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ prefix: '/ops/' }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ authorize: true }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ title: '' }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ redact: ['password'] }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ redact: 'data.password' }, 'FST_ERR_RLS_OPTION_INVALID'],
    [{ basePath: '/ops' }, 'FST_ERR_RLS_OPTION_UNKNOWN']
  ]
  for (const [admin, code] of wrong) {
    const app = Fastify()
    await t.rejects(
      async () => app.register(scheduler, { admin: admin as AdminOptions }),
      { code },
      JSON.stringify(admin)
    )
    await app.close()
  }
})
