import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AdminAction, AdminOptions, AdminUser } from '../../../types/admin.js'
import { copyKnown } from '../../base/check.js'
import type { PeerNames } from '../../base/peer-names.js'
import { show } from '../../base/show.js'
import { OptionInvalidError } from '../../errors.js'
import { checkBy } from '../../jobs/options.js'
import { createRedaction, type Redaction } from './redaction.js'

export const ADMIN_ACTIONS = [
  'trigger',
  'pause',
  'resume',
  'skip',
  'override',
  'reset',
  'release',
  'cancel'
] as const satisfies readonly AdminAction[]

const ADMIN_KEYS = ['prefix', 'authorize', 'redact', 'title'] as const satisfies (keyof AdminOptions)[]

const USER_KEYS = ['user', 'can'] as const satisfies (keyof AdminUser)[]

/** The options of peers' dashboards: bull-board, Arena, Agendash. */
const PEER_ADMIN_NAMES: PeerNames = {
  '`prefix`': ['basepath', 'path', 'endpoint', 'url', 'route', 'mount'],
  '`authorize`': [
    'auth',
    'authenticate',
    'authorization',
    'basicauth',
    'isallowed',
    'readonly',
    'readonlymode',
    'users'
  ],
  '`title`': ['name', 'boardtitle', 'appname']
}

const DEFAULT_PREFIX = '/scheduler'
const MAX_TITLE = 100

/** The admin routes' options: validated, copied and complete. */
export interface ResolvedAdmin {
  readonly prefix: string
  readonly authorize: AdminOptions['authorize'] | undefined
  readonly redact: Redaction
  readonly title: string
}

/**
 * @param prefix the app's prefix in Redis, `''` for none
 * @throws OptionInvalidError, OptionUnknownError
 */
export function resolveAdmin(options: AdminOptions, appPrefix: string): ResolvedAdmin {
  const known = copyKnown(options, ADMIN_KEYS, '`admin`', PEER_ADMIN_NAMES) as AdminOptions
  const { prefix = DEFAULT_PREFIX, authorize, redact = [], title } = known
  if (typeof prefix !== 'string' || !/^(?:\/[\w.~-]+)+$/.test(prefix)) {
    throw new OptionInvalidError('admin.prefix', 'a path such as /scheduler, without a slash at its end', show(prefix))
  }
  if (authorize !== undefined && typeof authorize !== 'function') {
    throw new OptionInvalidError('admin.authorize', 'a function', show(authorize))
  }
  if (title !== undefined && (typeof title !== 'string' || title === '' || title.length > MAX_TITLE)) {
    throw new OptionInvalidError('admin.title', `a string of 1 to ${MAX_TITLE} characters`, show(title))
  }
  return { prefix, authorize, redact: createRedaction(redact), title: title ?? (nameOfApp() || appPrefix || 'jobs') }
}

/**
 * Reads what `authorize` has said of somebody.
 *
 * @returns `null` for nobody who may see anything
 * @throws OptionInvalidError, OptionUnknownError for what it must not return
 */
export function readUser(
  given: unknown
): { readonly user: string | null; readonly can: readonly AdminAction[] } | null {
  if (given === false || given === undefined || given === null) return null
  if (given === true) return { user: null, can: ADMIN_ACTIONS }
  const { user, can = ADMIN_ACTIONS } = copyKnown(given, USER_KEYS, "`authorize`'s answer") as Partial<AdminUser>
  checkBy(user)
  const isKnown = (action: unknown): boolean => (ADMIN_ACTIONS as readonly unknown[]).includes(action)
  if (!Array.isArray(can) || !can.every(isKnown)) {
    throw new OptionInvalidError('can', `an array of ${ADMIN_ACTIONS.join(', ')}`, show(can))
  }
  return { user, can: [...can] }
}

/** The `name` in the `package.json` of the working directory. */
function nameOfApp(): string {
  try {
    const { name } = JSON.parse(readFileSync(join(process.cwd(), 'package.json'), 'utf8')) as { name?: unknown }
    return typeof name === 'string' ? name.slice(0, MAX_TITLE) : ''
  } catch {
    return ''
  }
}
