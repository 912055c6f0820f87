import { DAY, MINUTE, SECOND } from '../../base/duration.js'

// Runs that have begun and not ended: who looks for those whose replica has died, and who records it. How they stand in
// `open` is described in claim-script.ts.

/**
 * How long after its lock has ended a run is held to be abandoned: its holder may be about to say that it has ended, as
 * Redis did not answer it before.
 */
export const ABANDONED_AFTER = 3 * SECOND

/** How many runs one look takes up. */
const LIMIT = 256

/** For how long it is remembered that a run was recorded as abandoned, should its replica come back. */
const KEEP = 7 * DAY

/**
 * Finds runs whose lock has ended some seconds ago and whose end nobody has recorded. Those that still have theirs, as it
 * was extended, are to be looked at again when it would end.
 *
 * KEYS  fence, as what the other keys begin with, and lie in the slot of
 * Reply Redis' time in microseconds; the last fencing token; the server's `run_id`, `''` where it may not be asked; of each
 *       run what stands in `open`, and until when it was to have its lock
 */
export const LOOK_SCRIPT = `
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
local base = string.sub(KEYS[1], 1, -6)
local openKey = base .. 'open'
local fence = redis.call('GET', KEYS[1]) or '0'
local info = redis.pcall('INFO', 'server')
local serverId = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local overdue =
  redis.call('ZRANGEBYSCORE', openKey, '-inf', now - ${ABANDONED_AFTER}, 'WITHSCORES', 'LIMIT', 0, ${LIMIT})
local function textAt(key)
  local text = redis.pcall('GET', key)
  return type(text) == 'string' and text or ''
end
local found = {}
for i = 1, #overdue, 2 do
  local member = overdue[i]
  local runId, jobId = string.match(member, '^(%S+) %d+ %d+ %S+ %-?%d+ %d+ (.+)$')
  local lockKey = base .. 'lock:' .. (jobId or '')
  if not runId then
    redis.call('ZREM', openKey, member)
  elseif textAt(lockKey) == runId then
    redis.call('ZADD', openKey, string.format('%.0f', now + math.max(redis.call('PTTL', lockKey), 0)), member)
  elseif string.match(textAt(base .. 'claim:' .. jobId), '^%-?%d+ %-?%d+ %?(%S+)') == runId then
    -- Its claim was never confirmed: it has not begun.
    redis.call('ZREM', openKey, member)
  else
    found[#found + 1] = member
    found[#found + 1] = overdue[i + 1]
  end
end
-- An app that is gone for ever leaves nothing behind.
redis.call('PEXPIRE', openKey, ${KEEP})
return { micros, fence, serverId, found }
`

/**
 * Records runs as abandoned, each once: a run that has ended meanwhile, or has its lock, is none. A repeated call gets the
 * reply it had.
 *
 * KEYS  fence, as what the other keys begin with, and lie in the slot of
 * ARGV  the call's id, then for each run what stands in `open`
 * Reply a string of one digit for each run: 1 when this call has recorded it, 2 when another has, 3 when its lock is there,
 *       0 when it is not open
 */
export const ABANDON_SCRIPT = `
local base = string.sub(KEYS[1], 1, -6)
local openKey = base .. 'open'
local count, keys, runIds = 0, { KEYS[1], openKey }, {}
for i = 2, #ARGV do
  local runId, jobId = string.match(ARGV[i], '^(%S+) %S+ %S+ %S+ %S+ %S+ (.+)$')
  count = count + 1
  runIds[count] = runId
  keys[2 * count + 1] = base .. 'abandoned:' .. runId
  keys[2 * count + 2] = base .. 'lock:' .. jobId
end
-- All in one command: a Cluster whose slot is moving refuses it as a whole.
local known = redis.call('MGET', unpack(keys))
-- Each of several masters has given the run a fencing token of its own.
local standsAs = {}
for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do standsAs[string.match(member, '^%S+')] = member end
local reply = {}
for i = 1, count do
  local runId = runIds[i]
  local by = known[2 * i + 1]
  if by then
    reply[i] = by == ARGV[1] and 1 or 2
  elseif known[2 * i + 2] == runId then
    reply[i] = 3
  elseif standsAs[runId] then
    redis.call('ZREM', openKey, standsAs[runId])
    redis.call('SET', keys[2 * i + 1], ARGV[1], 'PX', ${KEEP})
    reply[i] = 1
  else
    reply[i] = 0
  end
end
return table.concat(reply)
`

/**
 * Takes back what ABANDON_SCRIPT has recorded, as too few masters have: the runs are open again.
 *
 * KEYS  fence, as above
 * ARGV  as above
 */
export const REOPEN_SCRIPT = `
local time = redis.call('TIME')
local base = string.sub(KEYS[1], 1, -6)
local openKey = base .. 'open'
redis.call('EXISTS', openKey)
for i = 2, #ARGV do
  local mark = base .. 'abandoned:' .. string.match(ARGV[i], '^%S+')
  if redis.call('GET', mark) == ARGV[1] then
    redis.call('DEL', mark)
    redis.call('ZADD', openKey, string.format('%.0f', time[1] * 1000 - ${MINUTE}), ARGV[i])
  end
end
`
