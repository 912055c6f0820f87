import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { withPage } from '../fixtures/browser.js'

/** A browser asks for an icon, unless it is given one. */
const HEAD = '<title>A page</title><link rel="icon" href="data:,">'

/** A server with one page, and its origin. */
async function serve(t: Test, body: string): Promise<string> {
  const server = createServer((request, response) => {
    const isPage = request.url === '/page'
    response.writeHead(isPage ? 200 : 404, { 'content-type': 'text/html' })
    response.end(isPage ? `<!doctype html>${HEAD}<body>${body}` : 'There is no such page.')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('a page is opened, and nothing is wrong with it', async (t) => {
  const origin = await serve(t, '<button onclick="this.textContent = \'clicked\'">click</button>')
  await withPage(
    origin,
    async ({ page, errors, foreign }) => {
      await page.goto('/page')
      t.equal(await page.title(), 'A page')
      await page.getByRole('button').click()
      t.equal(await page.getByRole('button').textContent(), 'clicked')
      t.strictSame(await page.evaluate('[innerWidth, matchMedia("(prefers-color-scheme: dark)").matches]'), [375, true])
      t.strictSame([errors, foreign], [[], []])
    },
    { viewport: { width: 375, height: 667 }, colorScheme: 'dark' }
  )
})

t.test('what the console is told, what nobody catches, and what is not there are noticed', async (t) => {
  const script = 'console.error("told"); setTimeout(() => { throw new Error("uncaught") })'
  const origin = await serve(t, `<script>${script}</script><img src="/missing.png">`)
  await withPage(origin, async ({ page, errors, foreign }) => {
    await page.goto('/page')
    t.match(errors.sort(), [/^Error: uncaught/, /^Failed to load resource: .*404.*missing\.png\)$/, /^told \(/])
    t.strictSame(foreign, [])
  })
})

t.test('a request to another host is noticed, and goes nowhere', async (t) => {
  const scripts = '<script src="http://cdn.example/a.js"></script><script>new WebSocket("ws://push.example/")</script>'
  const origin = await serve(t, scripts)
  await withPage(origin, async ({ page, errors, foreign }) => {
    const refused = page.waitForEvent('console', (message) => message.text().startsWith('WebSocket'))
    await page.goto('/page')
    await refused
    t.strictSame(foreign, ['http://cdn.example/a.js', 'ws://push.example/'])
    t.match(errors, [/ERR_NAME_NOT_RESOLVED.*cdn\.example/, /^WebSocket .*ERR_NAME_NOT_RESOLVED/])
  })
})

t.test('each page has a profile of its own', async (t) => {
  const origin = await serve(t, '')
  const visits = '[document.cookie, localStorage.a, document.cookie = "a=b", localStorage.a = 1].slice(0, 2)'
  for (const _visit of [1, 2]) {
    await withPage(origin, async ({ page }) => {
      await page.goto('/page')
      t.strictSame(await page.evaluate(visits), ['', undefined])
    })
  }
})
