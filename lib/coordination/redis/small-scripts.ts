import { MINUTE } from '../../base/duration.js'
import { KEEP_SINCE } from './claim-script.js'

// What is asked of Redis beside claims: the time, pauses, locks by name, and that claims are confirmed.

/**
 * Redis' time in microseconds, and what was handed back: that of the node which holds the app's keys, so that it is the
 * claims' own also in a Cluster.
 *
 * KEYS  fence, handed, and one that is nobody's where something is to be written as well: a Redis that takes no claims
 *       refuses that, too
 */
export const TIME_SCRIPT = `
local time = redis.call('TIME')
if KEYS[3] then redis.call('SET', KEYS[3], '1', 'PX', 1) end
return { time[1] * 1000000 + time[2], redis.call('HGETALL', KEYS[2]) }
`

/**
 * Resumes a job, and remembers when, if it was paused: `-` and the time in milliseconds.
 *
 * KEYS  paused
 * ARGV  the job's id
 */
export const RESUME_SCRIPT = `
local paused = redis.call('HGET', KEYS[1], ARGV[1])
if not paused then
  redis.call('HSET', KEYS[1], ARGV[1], '-')
elseif string.sub(paused, -1) == '~' then
  redis.call('HSET', KEYS[1], ARGV[1], string.sub(paused, 1, -2))
elseif string.sub(paused, 1, 1) ~= '-' then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], ARGV[1], string.format('-%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
end
`

/**
 * Says what is known of the pauses of jobs, after what the code says of them: `{}` is a pause by code, which ends where
 * the code has it no more (`-`, the time, and `~`) and begins anew where it comes back. A longer object is a pause by an
 * operator, `-` and a time without more a resumption by one: both stay.
 *
 * KEYS  paused
 * ARGV  for each job a line `paused jobId`, with 1 or 0 for `paused` in its code
 * Reply what is noted of each, an empty string for nothing
 */
export const PAUSES_SCRIPT = `
local byCode, ids = {}, {}
for paused, jobId in string.gmatch(ARGV[1], '(%d) ([^\\n]+)') do
  ids[#ids + 1] = jobId
  byCode[#ids] = paused == '1'
end
local known = redis.call('HMGET', KEYS[1], unpack(ids))
local ended = nil
for i = 1, #ids do
  local paused = known[i]
  if byCode[i] and (not paused or string.sub(paused, -1) == '~') then
    paused = '{}'
  elseif not byCode[i] and paused == '{}' then
    if not ended then
      local time = redis.call('TIME')
      ended = string.format('-%.0f~', time[1] * 1000 + math.floor(time[2] / 1000))
    end
    paused = ended
  end
  if paused ~= known[i] then redis.call('HSET', KEYS[1], ids[i], paused) end
  known[i] = paused or ''
end
return known
`

/**
 * Notes since when the fleet has had jobs, and says so: `since:<id>` is that time in milliseconds and the trigger's word.
 * Of replicas with one trigger the first counts. Another trigger, of a replica that came later, takes its place: what
 * was before it, also with a trigger that comes back, leaves nothing to account for. A job of which only its last claimed
 * tick is known was there by then. Claims of jobs that are there are remembered on; what is noted here is so until there is
 * one that is later.
 *
 * KEYS  fence, as what the jobs' keys begin with, and lie in the slot of
 * ARGV  for each job a line `since isOnce accounted keep trigger jobId`, with `-` for `since` where it is not noted, and 1 for
 *       `isOnce` where it is only in place of another trigger
 * Reply a string of the times, with `-` for none
 */
export const SINCE_SCRIPT = `
local base = string.sub(KEYS[1], 1, -6)
local jobs, keys = {}, { KEYS[1] }
for since, isOnce, accounted, keep, trigger, jobId in
  string.gmatch(ARGV[1], '(%S+) (%d) (%-?%d+) (%d+) (%S+) ([^\\n]+)') do
  jobs[#jobs + 1] = { since, isOnce == '1', accounted, tonumber(keep), trigger }
  keys[2 * #jobs] = base .. 'since:' .. jobId
  keys[2 * #jobs + 1] = base .. 'claim:' .. jobId
end
-- All in one command: a Cluster whose slot is moving refuses it as a whole.
local known = redis.call('MGET', unpack(keys))
local reply = {}
for i = 1, #jobs do
  local since, isOnce, accounted, keep, trigger = unpack(jobs[i])
  local sinceKey, claimKey = keys[2 * i], keys[2 * i + 1]
  local at, by = string.match(known[2 * i] or '', '^(%-?%d+) (%S+)$')
  local tick, claimedAs = string.match(known[2 * i + 1] or '', '^(%-?%d+) .* ([^.%s]+)%.%S+$')
  local own = accounted
  local isClaimed = claimedAs == trigger and tonumber(tick) >= 0
  if isClaimed and tonumber(tick) < tonumber(accounted) then own = tick end
  if known[2 * i + 1] then
    local left = redis.call('PTTL', claimKey)
    if left >= 0 and left < keep then redis.call('PEXPIRE', claimKey, keep) end
  end
  local isFirst = not at and (not claimedAs or claimedAs == trigger)
  -- What has been replaced may only not be gone yet.
  local isOld = since ~= '-' and at and by ~= trigger and tonumber(since) <= tonumber(at)
  if since == '-' or isOld or (isOnce and isFirst) or (isClaimed and not at) then
    reply[i] = own
  elseif by == trigger then
    local isLater = isClaimed and tonumber(tick) >= tonumber(at)
    if tonumber(accounted) < tonumber(at) then at = accounted end
    redis.call('SET', sinceKey, at .. ' ' .. trigger, 'KEEPTTL')
    if not isLater then redis.call('PEXPIRE', sinceKey, math.max(redis.call('PTTL', sinceKey), keep)) end
    reply[i] = at
  else
    reply[i] = at and since or own
    redis.call('SET', sinceKey, reply[i] .. ' ' .. trigger, 'PX', keep)
  end
end
return table.concat(reply, ' ')
`

/**
 * Takes a lock by name, as redlock's own acquire does, with a fencing token.
 *
 * KEYS  fence, lock
 * ARGV  token, ttl
 * Reply Redis' time in microseconds and the fencing token, or 0 and the holder when the lock is held
 */
export const ACQUIRE_SCRIPT = `
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
if not redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2], 'NX') then
  local holder = redis.pcall('GET', KEYS[2])
  -- Taken before, and the reply was lost?
  if holder ~= ARGV[1] then return { micros, 0, type(holder) == 'string' and holder or '' } end
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
local fence = math.max((tonumber(redis.call('GET', KEYS[1]) or '0') or 0) + 1, micros)
redis.call('SET', KEYS[1], string.format('%.0f', fence))
return { micros, fence }
`

/**
 * Confirms claims that a majority has granted, and lets fencing tokens begin above a number.
 *
 * KEYS  fence, then for each its claim
 * ARGV  the number, then for each claim the id of its request and the tick that was decided on, or `-` for its own
 * Reply a string of one digit for each claim: 1 when it is the request's own, 0 when it is not any more
 */
export const CONFIRM_SCRIPT = `
local last = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
if last < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
local reply = {}
for i = 2, #KEYS do
  local runId, due = string.match(ARGV[i], '^(%S+) (%S+)$')
  local record = redis.pcall('GET', KEYS[i])
  local tick, previous, claimedBy, tail
  if type(record) == 'string' then
    tick, previous, claimedBy, tail = string.match(record, '^(%-?%d+) (%-?%d+) (%S+) (.*)$')
  end
  local own = claimedBy == '?' .. runId or claimedBy == runId
  if own and due ~= '-' then
    local head, id, middle, rest = string.match(tail, '^(%d+) (%S+) (%d+ %d+ %S+) %-?%d+ (.*)$')
    tick = due
    if id == runId then tail = head .. ' ' .. id .. ' ' .. middle .. ' ' .. due .. ' ' .. rest end
  end
  if own and (claimedBy ~= runId or due ~= '-') then
    redis.call('SET', KEYS[i], string.format('%s %s %s %s', tick, previous, runId, tail), 'KEEPTTL')
  end
  reply[i - 1] = own and 1 or 0
end
return table.concat(reply)
`

/**
 * Takes over claims that a majority of masters has confirmed and this one has not, as it gave its vote to others or has
 * lost it. A later tick, and one that is confirmed here, stays as it is. Records are described in claim-script.ts.
 *
 * KEYS  fence, as what the claims' keys begin with, and lie in the slot of
 * ARGV  replicaId, then one line for each claim: `tick keep definition runId fencingToken runTick attempt jobId`, with `-`
 *       for the token of one without a run
 */
export const ADOPT_SCRIPT = `
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local base = string.sub(KEYS[1], 1, -6)
local openKey = base .. 'open'
local claims, jobIds, keys, opened = {}, {}, { KEYS[1], openKey }, {}
for tick, keep, definition, runId, fence, runTick, attempt, jobId in
  string.gmatch(ARGV[2], '(%-?%d+) (%d+) (%S+) (%S+) (%S+) (%-?%d+) (%d+) ([^\\n]+)') do
  claims[#claims + 1] = { tick, keep, definition, runId, fence, runTick, attempt }
  jobIds[#jobIds + 1] = jobId
  keys[#keys + 1] = base .. 'claim:' .. jobId
end
-- All in one command: a Cluster whose slot is moving refuses it as a whole.
local known = redis.call('MGET', unpack(keys))
for i = 1, #claims do
  local tick, keep, definition, runId, fence, runTick, attempt = unpack(claims[i])
  local before, previous, claimedBy, run, claimedAs =
    string.match(known[i + 2] or '', '^(%-?%d+) (%-?%d+) (%S+) (%d+ %S+ %d+ %d+ %S+ %-?%d+ %d+) (%S+)$')
  -- One that cannot be read stays as it is.
  local isForeign = not before and (known[i + 2] or redis.call('EXISTS', keys[i + 2]) == 1)
  if not before then before, previous, claimedBy, run = '-1', '-1', '-', now .. ' - 0 0 - -1 0' end
  local openBy = string.match(claimedBy, '^%?(.*)$')
  if not isForeign and (tonumber(before) < tonumber(tick) or (before == tick and openBy)) then
    if fence ~= '-' then
      run = '0 ' .. runId .. ' ' .. fence .. ' ' .. now .. ' ' .. ARGV[1] .. ' ' .. runTick .. ' ' .. attempt
      -- When its lock ends is known to those who have given it; here it is looked at then.
      opened[#opened + 1] = now + ${MINUTE / 2}
      opened[#opened + 1] = string.sub(run, 3) .. ' ' .. jobIds[i]
    elseif openBy and string.match(run, '^0 (%S+)') == openBy then
      -- The run of a claim that was never confirmed has not begun.
      run = before .. string.sub(run, 2)
    end
    local trigger = string.match(definition, '^[^.]+')
    if before == '-1' or string.match(claimedAs, '^[^.]+') ~= trigger then
      -- As with the first claim under a trigger.
      local sinceKey = base .. 'since:' .. jobIds[i]
      local since = redis.pcall('GET', sinceKey)
      if type(since) == 'string' and string.match(since, '%S+$') == trigger then
        redis.call('PEXPIRE', sinceKey, math.min(keep, ${KEEP_SINCE}))
      end
    end
    local record = tick .. ' ' .. (openBy and previous or before) .. ' ' .. runId .. ' ' .. run .. ' ' .. definition
    redis.call('SET', keys[i + 2], record, 'PX', keep)
  end
end
if #opened > 0 then redis.call('ZADD', openKey, unpack(opened)) end
`
