// The dashboard in a real browser, over a made-up API: what the real routes answer is tested with them.
import axe from 'axe-core'
import type { BrowserContextOptions, Page } from 'playwright-core'
import t from 'tap'
import { type OpenPage, withPage } from '../fixtures/browser.js'
import { HOSTILE, OUTAGE, START } from '../fixtures/dashboard-fleet.js'
import { type DashboardServer, dashboardServer, PREFIX } from '../fixtures/dashboard-server.js'

const MINUTE = 60_000

const BERLIN = { timezoneId: 'Europe/Berlin', viewport: { width: 1440, height: 900 } } as const

interface Open extends OpenPage {
  readonly server: DashboardServer
  /** Goes to a hash and waits until its first line is there. */
  go(hash: string): Promise<void>
}

const h1 = (page: Page) => page.locator('main h1')
const row = (page: Page, id: string) => page.locator(`tr[data-id="${id}"]`)
const button = (page: Page, name: string | RegExp) =>
  page.getByRole('button', { name, exact: typeof name === 'string' })
const dialog = (page: Page) => page.getByRole('dialog')

async function withDashboard(body: (open: Open) => Promise<void>, options: BrowserContextOptions = {}): Promise<void> {
  const server = await dashboardServer()
  try {
    const origin = new URL(server.url).origin
    await withPage(
      origin,
      async (open) => {
        const { page } = open
        const go = async (hash: string): Promise<void> => {
          await page.goto(`${PREFIX}/${hash}`)
          await h1(page).waitFor()
          await page.getByText('Reading the fleet').waitFor({ state: 'hidden' })
        }
        await body({ ...open, server, go })
      },
      { ...BERLIN, ...options }
    )
  } finally {
    await server.close()
  }
}

/** What axe-core calls serious or worse. */
async function seriousOf(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<axe.AxeResults>('axe.run()')
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`))
}

t.test('each page, in both themes and widths: nothing serious for axe-core, no error, no other host', async (t) => {
  for (const [colorScheme, width] of [
    ['light', 1440],
    ['dark', 375]
  ] as const) {
    const options = { colorScheme, viewport: { width, height: 900 } }
    await withDashboard(async ({ page, errors, foreign, go }) => {
      for (const [hash, first] of [
        ['#/jobs', '4 of 14 jobs need attention'],
        ['#/timeline', /^1[12]:\d\d to 14:\d\d$/],
        ['#/job/capture-payments', 'capture-payments'],
        ['#/job/roll-up-statistics', 'roll-up-statistics'],
        ['#/fleet', '3 replicas take ticks, 1 runs another version']
      ] as const) {
        await go(hash)
        t.match(await h1(page).innerText(), first)
        t.strictSame(await seriousOf(page), [], `${hash} ${colorScheme} ${width}`)
        for (const size of [375, 800, 1440]) {
          await page.setViewportSize({ width: size, height: 900 })
          const isWider = await page.evaluate('document.documentElement.scrollWidth > innerWidth')
          t.notOk(isWider, `${hash} ${size}: nothing is cut off at the side`)
        }
        await page.setViewportSize({ width, height: 900 })
      }
      await go('#/job/capture-payments')
      await button(page, 'Override…').click()
      await dialog(page).getByText('Every 5 minutes').waitFor()
      t.strictSame(await seriousOf(page), [], `override ${colorScheme} ${width}`)
      await page.keyboard.press('Escape')
      await page.keyboard.press('?')
      await dialog(page).getByText('Reading the ticks').waitFor()
      t.strictSame(await seriousOf(page), [], `legend ${colorScheme} ${width}`)
      t.strictSame([errors, foreign], [[], []])
    }, options)
  }
})

t.test('the jobs: problems first, each with its reason, and what is expected of it', async (t) => {
  await withDashboard(async ({ page, go }) => {
    await go('#/jobs')
    t.equal(await page.title(), '4 of 14 jobs need attention · shop-backoffice')
    t.match(
      await page.locator('.sub').innerText(),
      '1 overdue, 1 failing, 1 missed its tick, 1 overlapping. The other 10'
    )
    t.strictSame(await page.locator('.cap').allInnerTexts(), [
      'Needs attention 4',
      'Running 1',
      'Paused 1',
      'On time 8'
    ])
    for (const [id, texts] of [
      [
        'sync-warehouse-stock',
        ['Overdue', '13:05 abandoned, 14:05 too late', 'Every hour at :05', 'Berlin', 'due 1 h 24 min ago']
      ],
      ['capture-payments', ['Failing, 3 in a row', '502 from api.psp.example', 'due 20 min ago']],
      ['import-supplier-prices', ['Missed its tick', '12:30 lost: Redis was away', 'Fri 12:30']],
      ['export-orders-to-erp', ['Overlapping', '14:30 skipped, 14:25 still runs']],
      ['reindex-products', ['Running, 61 %', 'on web-3 since 14:15']],
      ['send-newsletter-batch', ['Paused', 'by mara until Fri 09:00', 'none due']],
      ['warm-product-pages', ['On time', 'on every replica']],
      ['roll-up-statistics', ['12:30 Redis away', 'differs from code']],
      ['fetch-us-tax-rates', ['New York', 'Fri 14:00']]
    ] as const) {
      const text = await row(page, id).innerText()
      for (const each of texts) t.match(text, each, id)
    }
    const strip = row(page, 'send-newsletter-batch').getByRole('img')
    t.equal(await strip.getAttribute('aria-label'), 'Last 60 ticks: 48 ran, 1 cancelled, 11 paused')
    const box = (await strip.boundingBox()) ?? { x: 0, y: 0, width: 0 }
    await page.mouse.move(box.x + box.width - 3, box.y + 10)
    t.match(
      await page.getByRole('tooltip').innerText(),
      '14:30:00 no run: paused by mara until Fri 09:00: “Template shows the wrong VAT. Wait for SHOP-4121.”'
    )
  })
})

t.test('filters and the order are in the address, and go along', async (t) => {
  await withDashboard(async ({ page, server, go }) => {
    await go('#/jobs')
    await page.keyboard.press('/')
    await page.keyboard.type('feeds')
    await row(page, 'capture-payments').waitFor({ state: 'hidden' })
    t.equal(await page.locator('.job-row').count(), 1)
    t.match(page.url(), '#/jobs?q=feeds')
    await page.keyboard.press('Escape')
    await page.keyboard.press('2')
    await page.locator('.lane').waitFor()
    t.equal(await page.locator('.lane').count(), 1, 'the timeline has the same lanes')
    t.match(page.url(), '#/timeline?q=feeds')
    await page.keyboard.press('1')
    await page.getByRole('searchbox').fill('nothing like it')
    await button(page, 'Clear filters').click()
    await row(page, 'capture-payments').waitFor()
    await button(page, /^Attention/).click()
    await row(page, 'warm-product-pages').waitFor({ state: 'hidden' })
    t.equal(await page.locator('.job-row').count(), 4)
    await page.getByRole('combobox', { name: 'Group' }).selectOption('payments')
    await row(page, 'sync-warehouse-stock').waitFor({ state: 'hidden' })
    t.match(page.url(), '#/jobs?state=attention&group=payments')
    t.match(
      server.requested.filter((path) => path.includes('/api/')).at(-1),
      /api\/jobs\?state=attention&group=payments&limit=100&offset=0$/
    )
    await page.goBack()
    await row(page, 'sync-warehouse-stock').waitFor()
    await go('#/jobs?group=orders&sort=-id')
    t.strictSame(await page.locator('.job-row a').allInnerTexts(), ['export-orders-to-erp', 'expire-carts'])
    t.equal(await page.locator('th[aria-sort="descending"]').textContent(), 'Job ↓')
    await button(page, 'Next tick').click()
    await page.locator('th[aria-sort="ascending"]', { hasText: 'Next tick' }).waitFor()
    t.match(page.url(), 'sort=nextRun')
  })
})

t.test('keys: views, moving, opening, back to the same row, theme', async (t) => {
  await withDashboard(async ({ page, go }) => {
    const focused = (): Promise<string> => page.evaluate('document.activeElement.textContent')
    await go('#/jobs')
    await row(page, 'capture-payments').waitFor()
    for (const key of 'jjk') await page.keyboard.press(key)
    t.equal(await focused(), 'sync-warehouse-stock')
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.getByText('What became of every tick').waitFor()
    t.equal(await h1(page).innerText(), 'capture-payments')
    await page.keyboard.press('Escape')
    await row(page, 'capture-payments').waitFor()
    t.equal(await focused(), 'capture-payments', 'the row that one came from has the focus')
    await page.keyboard.press('p')
    t.match(await dialog(page).innerText(), 'Pause: capture-payments')
    t.equal(await page.evaluate('document.activeElement?.tagName'), 'TEXTAREA')
    await page.keyboard.type('jk r p 1')
    t.equal(await dialog(page).locator('textarea').inputValue(), 'jk r p 1', 'keys are text there')
    await page.keyboard.press('Escape')
    await dialog(page).waitFor({ state: 'detached' })
    t.equal(await focused(), 'capture-payments', 'the focus is back')
    await page.keyboard.press('r')
    t.match(await dialog(page).innerText(), 'Run now: capture-payments')
    await page.keyboard.press('Escape')
    await page.keyboard.press('3')
    t.match(await h1(page).innerText(), '3 replicas')
    const background = (): Promise<string> =>
      page.evaluate('getComputedStyle(document.documentElement).backgroundColor')
    t.equal(await background(), 'rgb(252, 252, 251)')
    await page.keyboard.press('t')
    t.equal(await background(), 'rgb(19, 20, 22)')
    await page.reload()
    t.equal(await background(), 'rgb(19, 20, 22)', 'the theme is kept')
    await page.keyboard.press('?')
    t.match(await dialog(page).innerText(), 'Above the line: how long it ran')
  })
})

const VERSION = { expectedVersion: null } as const

const BUTTONS: readonly (readonly [string, string | RegExp, string, unknown])[] = [
  [
    'capture-payments',
    'Run the tick of 14:30 again…',
    'trigger',
    { job: 'capture-payments', scheduledTime: START - 138_000 }
  ],
  ['capture-payments', 'Run now…', 'trigger', { job: 'capture-payments' }],
  ['import-supplier-prices', 'Run the tick of 12:30…', 'trigger', { scheduledTime: OUTAGE.from + 5000 }],
  ['capture-payments', 'Pause…', 'pause', { job: 'capture-payments', until: Date.UTC(2026, 10, 27, 8), ...VERSION }],
  ['send-newsletter-batch', 'Resume…', 'resume', { job: 'send-newsletter-batch', expectedVersion: 'pause-1' }],
  ['capture-payments', 'Skip 14:40…', 'skip', { job: 'capture-payments', scheduledTime: START + 462_000 }],
  ['roll-up-statistics', 'Reset to code…', 'reset', { job: 'roll-up-statistics', expectedVersion: 'override-1' }],
  ['export-orders-to-erp', 'Release…', 'release', { job: 'export-orders-to-erp', slot: 1 }],
  ['export-orders-to-erp', 'Cancel the run of 14:25…', 'cancel', { run: `export-orders-to-erp:${START - 438_000}` }]
]

t.test('each button says what it will do, asks for a reason, and does it', async (t) => {
  await withDashboard(async ({ page, server, errors, go }) => {
    for (const [id, name, action, body] of BUTTONS) {
      await go(`#/job/${id}`)
      await page.getByText('What became of every tick').waitFor()
      const own = button(page, name)
      await own.click()
      const inner = dialog(page)
      t.ok((await inner.locator('p.dim').first().innerText()).length > 30, `${name} says what it will do`)
      await inner.locator('button.primary').click()
      t.equal(await inner.count(), 1, 'without a reason it does nothing')
      await inner.locator('textarea').fill('  because of <b>SHOP-1</b> ')
      await inner.locator('button.primary').click()
      await inner.waitFor({ state: 'detached' })
      t.match(
        server.posted.splice(0),
        [{ action, body: { note: 'because of <b>SHOP-1</b>', ...(body as object) } }],
        `${name}`
      )
      await page.locator('.said p').waitFor()
    }
    t.strictSame(errors, [])
  })
})

t.test('until when a pause is, and what else is paused', async (t) => {
  await withDashboard(async ({ page, server, go }) => {
    const pause = async (until: string): Promise<unknown> => {
      const inner = dialog(page)
      await inner.getByRole('combobox').selectOption({ label: until })
      if (until === 'a time…') await inner.locator('[type="datetime-local"]').fill('2026-11-30T08:15')
      await inner.locator('textarea').fill('why')
      await inner.locator('button.primary').click()
      await inner.waitFor({ state: 'detached' })
      return server.posted.splice(0)[0]?.body
    }
    await go('#/job/expire-carts')
    await button(page, 'Pause…').click()
    t.strictSame(await pause('someone resumes it'), { job: 'expire-carts', note: 'why', ...VERSION })
    await button(page, 'Pause…').click()
    t.match(await pause('a time…'), { until: Date.UTC(2026, 10, 30, 7, 15) })
    await button(page, 'Pause…').click()
    const { until } = (await pause('in 1 hour')) as { until: number }
    t.ok(Math.abs(until - START - 60 * MINUTE) < MINUTE, 'an hour by the clock of the fleet')
    await go('#/jobs?group=orders')
    await button(page, 'Pause group…').click()
    t.match(await pause('someone resumes it'), { group: 'orders', note: 'why', ...VERSION })
    const pauses = [{ of: 'all' as const, note: 'a leak', by: 'jonas', at: START, until: null, version: 'all-1' }]
    server.switches.patches.set('expire-carts', { pauses, state: 'paused', rank: 'paused', nextRun: null })
    server.send('expire-carts')
    await page.getByText('All jobs are paused').waitFor()
    await page.locator('.notice').getByRole('button').click()
    await dialog(page).locator('textarea').fill('fixed')
    await dialog(page).locator('button.primary').click()
    await dialog(page).waitFor({ state: 'detached' })
    t.strictSame(server.posted.splice(0), [
      { action: 'resume', body: { all: true, note: 'fixed', expectedVersion: 'all-1' } }
    ])
    await page.keyboard.press('3')
    await button(page, 'Pause all jobs…').click()
    t.match(await pause('someone resumes it'), { all: true, note: 'why' })
  })
})

t.test('an override: only what was changed, with a look at what ticks it makes', async (t) => {
  await withDashboard(async ({ page, server, go }) => {
    await go('#/job/capture-payments')
    await button(page, 'Override…').click()
    const inner = dialog(page)
    await inner.getByText('Every 5 minutes').waitFor()
    t.equal(await inner.locator('.preview li').count(), 5)
    await inner.locator('[name="trigger"]').fill('nonsense')
    await inner.getByText("Expected `trigger` to be a cron expression, got 'nonsense'").waitFor()
    await inner.locator('[name="trigger"]').fill('{ "interval": "20m" }')
    await inner.locator('[name="timeout"]').fill('90s')
    await inner.locator('[name="retry"]').fill('5')
    await inner.getByText('More options').click()
    await inner.locator('[name="overlap"]').selectOption('wait')
    await inner.locator('textarea').fill('the index is slow')
    await inner.locator('button.primary').click()
    await inner.waitFor({ state: 'detached' })
    const retry = { limit: 5, delay: 1000, factor: 2, maxDelay: MINUTE, jitter: false }
    t.strictSame(server.posted, [
      {
        action: 'override',
        body: {
          job: 'capture-payments',
          changes: { trigger: { interval: '20m' }, timeout: '90s', retry, overlap: 'wait' },
          note: 'the index is slow',
          expectedVersion: null
        }
      }
    ])
    t.match(await page.locator('.said').innerText(), 'Changed trigger, timeout, retry and overlap of capture-payments')
  })
})

t.test('a refusal is told with what to do, and what was typed stays', async (t) => {
  await withDashboard(async ({ page, server, go }) => {
    await go('#/job/expire-carts')
    await button(page, 'Pause…').click()
    const inner = dialog(page)
    await inner.locator('textarea').fill('because')
    for (const [statusCode, message, advice] of [
      [409, 'The run holds it.', 'Look at what holds it'],
      [503, 'Redis does not answer.', 'Try again when Redis answers'],
      [400, 'Expected `until` to be in the future', 'Nothing was changed'],
      [403, 'mara may not pause', 'Ask whoever runs this service']
    ] as const) {
      server.switches.refuse = { statusCode, message }
      await inner.locator('button.primary').click()
      await inner.getByText(message).waitFor()
      t.match(await inner.getByRole('alert').innerText(), advice)
      t.equal(await inner.locator('textarea').inputValue(), 'because')
    }
    const pauses = [{ of: 'job' as const, note: 'mine', by: 'jonas', at: START, until: null, version: 'pause-9' }]
    server.switches.patches.set('expire-carts', { pauses })
    server.switches.refuse = { statusCode: 412, message: 'jonas was faster.' }
    await inner.locator('button.primary').click()
    await inner.getByText('It is paused by jonas, since 14:32:18: “mine”.').waitFor()
    await button(page, 'Pause all the same').click()
    await inner.waitFor({ state: 'detached' })
    t.match(server.posted.at(-1), { action: 'pause', body: { note: 'because', expectedVersion: 'pause-9' } })
  })
})

t.test('what changes is shown as it comes, and the focus stays', async (t) => {
  await withDashboard(async ({ page, server, go }) => {
    await go('#/jobs')
    await row(page, 'warm-product-pages').getByRole('link').focus()
    server.switches.patches.set('warm-product-pages', { state: 'failing', rank: 'attention', consecutiveFailures: 2 })
    server.send('warm-product-pages')
    await page.getByText('5 of 14 jobs need attention').waitFor()
    await row(page, 'warm-product-pages').getByText('Failing, 2 in a row').waitFor()
    await page.locator('.cap', { hasText: 'Needs attention 5' }).waitFor()
    t.equal(await page.evaluate('document.activeElement?.textContent'), 'warm-product-pages')
    const tick = { at: START + 1000, run: 'made-up', on: 'web-1', started: START + 1000 }
    server.switches.patches.set('report-daily-revenue', { ticks: [{ ...tick, kind: 'running', ms: 0 }] })
    server.send('report-daily-revenue')
    await row(page, 'report-daily-revenue').getByLabel('Last 60 ticks: 59 ran, 1 running').waitFor()
    const failed = { ...tick, kind: 'error' as const, ms: 900, error: 'Error: no' }
    server.switches.patches.set('report-daily-revenue', { ticks: [failed] })
    server.send('report-daily-revenue')
    await row(page, 'report-daily-revenue').getByLabel('Last 60 ticks: 59 ran, 1 failed').waitFor()
    server.switches.patches.clear()
    await page.keyboard.press('Enter')
    await page.getByText('What became of every tick').waitFor()
    const before = server.requested.length
    server.switches.patches.set('warm-product-pages', { state: 'paused', rank: 'paused' })
    server.send('warm-product-pages')
    await page.locator('.verdict', { hasText: 'Paused.' }).waitFor()
    await page.waitForResponse(/api\/runs/)
    t.match(server.requested.slice(before).join(' '), 'api/job?id=warm-product-pages')
  })
})

t.test('a job: its verdict, plot, story, schedule, failure and lock', async (t) => {
  await withDashboard(async ({ page, server, go }) => {
    await go('#/job/capture-payments')
    const main = page.locator('main')
    await main.getByText('What became of every tick').waitFor()
    await main.locator('.story').waitFor()
    for (const text of [
      'Failing, 3 in a row. The last 3 runs failed, each after 3 attempts, all with PaymentGatewayError: 502 from',
      'Attempt 1 failed at 14:30:02: PaymentGatewayError: 502 Bad Gateway.',
      '14:30:00.021 INFO  9 authorised payments to capture',
      'a line of another logger: <b>not bold</b>',
      'failed on web-1 after 9.4 s, attempt 3 of 3: PaymentGatewayError',
      'no run: Redis did not answer from 12:29:55 to 12:30:35',
      'runs within 30 s, else no run',
      'Free. Last held by web-'
    ]) {
      t.match(await main.innerText(), text)
    }
    const plot = page.getByRole('slider')
    await plot.focus()
    for (const key of ['End', 'ArrowLeft', 'ArrowLeft']) await page.keyboard.press(key)
    t.match(await plot.getAttribute('aria-valuetext'), '14:10:00 failed on web-1 after 9.1 s, attempt 3 of 3')
    t.match(await page.getByRole('tooltip').innerText(), '14:10:00 failed')
    await page.locator('.story summary', { hasText: '9 ticks ran' }).click()
    t.equal(await page.locator('.story details[open] li').count(), 9)
    await page.locator('.story summary', { hasText: '14:30' }).click()
    t.match(await page.locator('.story').innerText(), 'WARN  attempt 1 failed')
    t.notMatch(await page.locator('.story').innerText(), '04:40')
    await button(page, 'Show older').click()
    await page.locator('.story', { hasText: '04:40' }).waitFor()
    t.match(await page.locator('.story').innerText(), 'ran on web-2 in 7.8 s, at the second attempt')
    await button(page, 'No run').click()
    await page.locator('.story', { hasText: 'ticks ran' }).waitFor({ state: 'hidden' })
    t.match(page.url(), 'story=norun')
    await go('#/job/fetch-us-tax-rates')
    t.match((await main.locator('.ticks').innerText()).replaceAll('\t', ' '), 'New York Yours (Berlin)')
    t.match(
      (await main.locator('.ticks').innerText()).replaceAll('\t', ' '),
      'Fri 08:00:00 Fri 14:00:00 in 23 h 27 min'
    )
    await go('#/job/roll-up-statistics')
    t.match(await main.innerText(), 'jonas, Tue 16:20: “Database is slow until the index is built”')
    await go('#/job/no%2Fsuch%20job')
    t.match(
      await main.innerText(),
      'No living replica has a job of the id “no/such job”, and none had in the last 7 days.'
    )
    t.ok(server.requested.some((path) => path.endsWith('api/job?id=no%2Fsuch+job')))
  })
})

t.test('the timeline: what ran, what is to come, zoom and moves', async (t) => {
  await withDashboard(async ({ page, server, go }) => {
    await go('#/timeline')
    await page.getByText('Redis was away for 40 s at 12:29:55: 4 ticks had no run.').waitFor()
    t.equal(await page.locator('.lane').count(), 14)
    const label = page.locator('.lane', { hasText: 'capture-payments' }).getByRole('img')
    t.equal(await label.getAttribute('aria-label'), '16 ticks: 12 ran, 1 Redis away, 3 failed')
    t.match(await page.locator('.lanes').innerText(), '61 % on web-3')
    await page.keyboard.press('+')
    await page.keyboard.press('+')
    await page.waitForURL(/zoom=15m/)
    await page.keyboard.press('-')
    await page.waitForURL(/zoom=1h/)
    await page.keyboard.press('ArrowLeft')
    await page.waitForURL(/at=2026-11-26T13%3A17%3A/)
    t.match(await h1(page).innerText(), /^Thu 26 Nov, 13:2\d to 14:2\d$/)
    await page.keyboard.press('n')
    await page.waitForURL(/timeline\?zoom=1h$/)
    const lanes = (await page.locator('.lanes').boundingBox()) ?? { x: 0, y: 0 }
    await page.mouse.move(lanes.x + 600, lanes.y + 10)
    await page.mouse.wheel(0, -120)
    await page.waitForURL(/timeline\?zoom=15m&at=/)
    await go('#/timeline')
    const before = server.requested.length
    const at = START - 20 * MINUTE
    server.switches.patches.set('publish-product-feeds', {
      ticks: [{ at, run: 'now', on: 'web-1', started: at, kind: 'running', ms: 20 * MINUTE }]
    })
    server.send('publish-product-feeds')
    await page.locator('.lane', { hasText: 'publish-product-feeds' }).getByText('on web-1').waitFor()
    t.notMatch(server.requested.slice(before).join(' '), 'api/ticks', 'what the stream says is drawn at once')
  })
})

t.test('the fleet: who is there, what differs, what people did', async (t) => {
  await withDashboard(async ({ page, go }) => {
    await go('#/fleet')
    const text = (await page.locator('main').innerText()).replaceAll(/\s+/g, ' ')
    for (const each of [
      'web-3 runs 2026.11.3 instead of 2026.11.4; 2 definitions differ; admin-1 takes none.',
      'web-3 2026.11.3 0.4.1 3 d 5 h +184 ms 1 of 4 yes reindex-products',
      'answers in 0.6 ms',
      '12:29:55 to 12:30:35, 40 s',
      'publish-product-feeds timeout 5 min 10 min',
      'mara paused send-newsletter-batch until Fri 09:00: “Template',
      'jonas changed trigger and timeout of roll-up-statistics'
    ]) {
      t.match(text, each)
    }
  })
})

t.test('Redis gone and back while the page is open', async (t) => {
  await withDashboard(async ({ page, server, go }) => {
    await go('#/jobs')
    server.switches.isUp = false
    server.sendStore()
    await page.getByText('Redis has not answered for').waitFor()
    t.match(await h1(page).innerText(), /^At 14:3\d:\d\d, 4 of 14 jobs needed attention$/)
    t.equal(await page.locator('.job-row').count(), 14, 'what was known stays')
    await page.locator('.job-row a').first().focus()
    await page.keyboard.press('p')
    t.equal(await dialog(page).count(), 0, 'nothing can be done')
    await page.keyboard.press('Enter')
    await page.getByText('Nothing can be read while Redis is away.').waitFor()
    server.switches.isUp = true
    server.sendStore()
    await page.getByText('What became of every tick').waitFor()
    t.equal(await page.locator('.notice').count(), 0)
    t.equal(await page.locator('.acts button').first().isDisabled(), false)
  })
})

t.test('a lost connection is told, and what was missed is read anew', async (t) => {
  await withDashboard(async ({ page, server, go }) => {
    await go('#/jobs')
    server.switches.isDown = true
    server.cut()
    await page.getByText(/^as of \d+ s ago$/).waitFor()
    t.match(await page.locator('.notice').innerText(), /The connection was lost \d+ s ago\. Trying again/)
    t.equal(await page.locator('.job-row').count(), 14)
    server.switches.patches.set('check-upstreams', { state: 'failing', rank: 'attention' })
    server.switches.isDown = false
    await page.getByText('5 of 14 jobs need attention').waitFor()
    await page.locator('.notice').waitFor({ state: 'hidden' })
  })
})

t.test('who may look alone, or do some things, or nothing', async (t) => {
  await withDashboard(async ({ page, server, go }) => {
    server.switches.can = []
    await go('#/job/capture-payments')
    await page.getByText('You may look, not act. Buttons are off').waitFor()
    for (const each of await page.locator('.acts button').all()) t.ok(await each.isDisabled())
    await page.keyboard.press('p')
    t.equal(await dialog(page).count(), 0)
    server.switches.can = ['pause']
    await page.reload()
    await button(page, 'Pause…').click({ trial: true })
    t.equal(await button(page, 'Run now…').isDisabled(), true)
    server.switches.isForbidden = true
    await page.reload()
    await page.getByText('You may not see this').waitFor()
    t.notMatch(await page.locator('main').innerText(), 'capture-payments')
    server.switches.isForbidden = false
    await page.getByText('What became of every tick').waitFor()
    server.switches.size = 'none'
    await go('#/jobs')
    await page.getByText('No jobs yet').waitFor()
    t.match(await page.locator('main').innerText(), '4 replicas are up')
  })
})

t.test('what is slow shows its place after a while', async (t) => {
  await withDashboard(async ({ page, server }) => {
    server.switches.delay = 1500
    await page.goto(`${PREFIX}/#/jobs`)
    await page.locator('.late').waitFor({ state: 'attached' })
    const waits = await page.evaluate('getComputedStyle(document.querySelector(".late")).animationDuration')
    t.equal(waits, '0.3s', 'not at once')
    await page.locator('.late').waitFor({ state: 'visible' })
    await page.getByText('4 of 14 jobs need attention').waitFor()
  })
})

t.test('5,000 jobs scroll', async (t) => {
  await withDashboard(async ({ page, server, errors, go }) => {
    server.switches.size = 'many'
    await fetch(`${server.url}api/jobs`)
    const began = performance.now()
    await page.goto(`${PREFIX}/#/jobs`)
    await page.locator('.job-row a').first().waitFor()
    t.comment(`painted after ${Math.round(performance.now() - began)} ms`)
    const table = page.getByRole('table')
    t.equal(await table.getAttribute('aria-rowcount'), '5004', 'with its headings')
    t.ok((await page.locator('.job-row').count()) < 60, 'few of them are drawn')
    const height = await page.evaluate('document.documentElement.scrollHeight')
    await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)')
    await row(page, 'job-4999').waitFor()
    t.equal(await row(page, 'job-4999').getAttribute('aria-rowindex'), '5004')
    t.equal(await page.evaluate('document.documentElement.scrollHeight'), height, 'the page keeps its height')
    t.ok(await page.locator('thead').isVisible())
    await page.keyboard.press('1')
    await page.evaluate('scrollTo(0, 0)')
    await page.locator('.job-row a').first().waitFor()
    for (let n = 0; n < 130; n++) await page.keyboard.press('j')
    await page.locator('a[data-index="129"]:focus').waitFor()
    const pages = server.requested.filter((path) => path.includes('api/jobs'))
    t.ok(pages.length < 12, `${pages.length} pages were read`)
    await go('#/timeline?q=job-3')
    await page.locator('.lane').first().waitFor()
    await page.evaluate('scrollTo(0, 20_000)')
    await page.locator('.lane .f[d^="M"]').first().waitFor()
    t.ok((await page.locator('.lane').count()) < 80)
    t.strictSame(errors, [])
  })
})

t.test('text of jobs is text, and never markup', async (t) => {
  await withDashboard(async ({ page, server, errors, foreign, go }) => {
    server.switches.size = 'hostile'
    for (const view of ['#/jobs', '#/timeline']) {
      await go(view)
      await page.locator('.job-row, .lane').first().waitFor()
      t.equal(await page.locator('main script, main img, main b:not(:empty)').count(), 0)
    }
    for (const id of HOSTILE) {
      await go('#/jobs')
      await page.locator(`.job-row a[title="${id.replaceAll('"', '\\"')}"]`).click({ position: { x: 8, y: 8 } })
      await page.locator('.story').waitFor()
      t.equal(await h1(page).innerText(), id.replaceAll('\u202e', '\ufffd').replaceAll(/\s+/g, ' '))
      await page.reload()
      await page.locator('.story').waitFor()
      t.match(await page.locator('.story').innerText(), id.includes('\u202e') ? '\ufffd right to left' : `Error: ${id}`)
      await button(page, 'Run now…').click()
      await dialog(page).locator('textarea').fill(id)
      await dialog(page).locator('button.primary').click()
      await page.locator('.said p').waitFor()
      t.strictSame(server.posted.splice(0), [{ action: 'trigger', body: { job: id, note: id.trim() } }])
      t.equal(await page.locator('script:not([src]), img').count(), 0)
    }
    t.strictSame([errors, foreign], [[], []])
  })
})

t.test('what this build does not know is shown all the same', async (t) => {
  await withDashboard(async ({ page, server, errors, go }) => {
    server.switches.strange = [
      null,
      'a line',
      { kind: 'poem', lines: 3 },
      { kind: 'run', id: 'half', scheduledTime: START - 1000 },
      { kind: 'ticks', first: START - 2000, last: START - 2000, count: 1, reason: 'solar_flare', by: 'web-1' }
    ]
    server.switches.patches.set('expire-carts', {
      state: 'dreaming' as 'gone',
      rank: 'asleep' as 'gone',
      ticks: [{ at: START, kind: 'solar_flare' as 'misfire' }],
      group: null,
      description: null,
      lastSuccess: null,
      expectedSuccess: null,
      nextRun: null,
      period: null
    })
    await go('#/jobs')
    await row(page, 'expire-carts').waitFor()
    t.match(await row(page, 'expire-carts').innerText(), 'dreaming')
    await row(page, 'expire-carts').getByRole('link').click()
    await page.locator('.story').waitFor()
    t.match(await page.locator('.story').innerText(), 'no run: solar flare')
    await go('#/nowhere/at/all?x')
    t.match(await h1(page).innerText(), 'of 14 jobs need attention')
    t.strictSame(errors, [])
  })
})

/** A clock that is off by more than a year, and storage that throws. */
const WRONG_CLOCK = `
  const { Date: Real } = globalThis
  const shift = 400 * 86400000
  globalThis.Date = class extends Real {
    constructor(...args) {
      super(...(args.length === 0 ? [Real.now() + shift] : args))
    }
    static now() {
      return Real.now() + shift
    }
  }
  Object.defineProperty(globalThis, 'localStorage', { get() { throw new Error('forbidden') } })
`

t.test('a clock that is wrong in the browser, or storage that is forbidden, changes nothing', async (t) => {
  await withDashboard(async ({ page, errors, go }) => {
    await page.addInitScript({ content: WRONG_CLOCK })
    await go('#/jobs')
    t.match(await page.locator('.vitals').innerText(), /14:3\d:\d\d/)
    t.match(await row(page, 'capture-payments').innerText(), /in [67] min \d+ s/)
    await page.keyboard.press('t')
    t.equal(await page.evaluate('document.documentElement.className'), 'dark')
    await page.keyboard.press('2')
    await page.getByText(/^11:5\d to 14:5\d$/).waitFor()
    t.strictSame(errors, [])
  })
})
