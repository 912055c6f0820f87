// The dashboard in a browser, over a real app.
import AxeBuilder from 'axe-core'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import scheduler from '../../../lib/index.js'
import { withPage } from '../../fixtures/browser.js'
import { nextEvent } from '../../fixtures/next-event.js'

const HOSTILE = '<script>document.title = "broken"</script>/../%2f'

async function withService(body: (app: FastifyInstance, origin: string) => Promise<void>): Promise<void> {
  const app = Fastify()
  try {
    await app.register(
      async (child) => {
        await child.register(scheduler, {
          admin: { prefix: '/jobs', title: 'shop', authorize: () => ({ user: 'mara' }) }
        })
        child.jobs.add({ id: 'works', trigger: { cron: '0 6 * * *' }, group: 'reports', handler: () => {} })
        child.jobs.add({
          id: HOSTILE,
          trigger: null,
          handler: () => {
            throw new Error('<img src="/broken.png">')
          }
        })
        await child.after()
        app.decorate('inner', child.jobs)
      },
      { prefix: '/behind/proxy' }
    )
    const origin = await app.listen({ host: '127.0.0.1', port: 0 })
    const { inner } = app as unknown as { inner: FastifyInstance['jobs'] }
    const failed = nextEvent(inner, 'error')
    await inner.trigger(HOSTILE, { wait: true })
    await failed
    await body(Object.assign(app, { jobs: inner }), origin)
  } finally {
    await app.close()
  }
}

t.test('the pages show what there is, ask no other host, and breach no policy', async (t) => {
  await withService(async (_app, origin) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [375, 1440]) {
        await withPage(
          origin,
          async ({ page, errors, foreign }) => {
            await page.goto('/behind/proxy/jobs/')
            await page
              .getByText('1 of 2 jobs needs attention', { exact: false })
              .or(page.getByText('1 of 2 jobs need attention'))
              .waitFor()
            t.match(await page.locator('main').innerText(), HOSTILE, 'a hostile id is text')
            await page.evaluate(AxeBuilder.source)
            const { violations } = await page.evaluate<{ violations: { id: string; impact: string; help: string }[] }>(
              'axe.run()'
            )
            const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
            t.strictSame(
              serious.map(({ id, help }) => `${id}: ${help}`),
              [],
              `${colorScheme} ${width}`
            )
            for (const [hash, text] of [
              ['#/timeline', 'works'],
              ['#/fleet', 'Replicas']
            ] as const) {
              await page.goto(`/behind/proxy/jobs/${hash}`)
              await page.getByText(text).first().waitFor()
            }
            t.strictSame([errors, foreign], [[], []])
          },
          { viewport: { width, height: 800 }, colorScheme }
        )
      }
    }
  })
})

t.test('a job is paused with a reason, and resumed', async (t) => {
  await withService(async (app, origin) => {
    await withPage(origin, async ({ page, errors }) => {
      await page.goto('/behind/proxy/jobs/#/job/works')
      await page.getByRole('button', { name: /^Pause/ }).click()
      const paused = nextEvent(app.jobs, 'paused')
      const dialog = page.getByRole('dialog')
      await dialog.getByRole('textbox').first().fill('wait for the index')
      await dialog.getByRole('button', { name: /^Pause/ }).click()
      await paused
      t.match(app.jobs.get('works')?.pauses, [{ by: 'mara', note: 'wait for the index' }])
      await page.getByRole('button', { name: /^Resume/ }).click()
      const resumed = nextEvent(app.jobs, 'resumed')
      await dialog.getByRole('textbox').first().fill('done')
      await dialog.getByRole('button', { name: /^Resume/ }).click()
      await resumed
      t.strictSame(errors, [])
    })
  })
})
