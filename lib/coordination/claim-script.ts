/**
 * Claims the due ticks of many jobs, and takes the locks of those that are to run, in one atomic step.
 *
 * Per job one string, `claim:<id>`, remembers its last claimed tick:
 *
 *     tick claimedBy endedAt runId fencingToken startedAt replicaId
 *
 * `tick` is -1 before the first; `claimedBy` is the request that claimed it, so that a request whose reply was lost can
 * be repeated, `-` once that run has ended; the rest is the last granted run, with `endedAt` 0 while it goes on. The lock is a Redlock: a key whose
 * value is the holder's token (the run's id) and whose expiry is the TTL, set only when it is not there.
 *
 * Fencing tokens come from one counter for all jobs, which is kept at or above Redis' own time in microseconds: they
 * still increase when Redis has lost the counter.
 *
 * What is said of a request is one argument and one part of one reply: a client spends more on each value it sends or
 * reads than Redis spends here.
 *
 * KEYS  fence, paused, then for each request its claim and its lock
 * ARGV  maxClockSkew, replicaId, then for each request `kind scheduledTime runId ttl keep after paused`
 * Reply Redis' time in microseconds, and a string of the answers, one after the other: `0 fence previous scheduledTime`
 *       for granted, `1` for claimed elsewhere, `2 previous` for overlap, `3 first previous` for paused, `4 due` for
 *       early; with -1 for a `previous` that there is none of
 */
export const CLAIM_SCRIPT = `
local maxClockSkew, replicaId = tonumber(ARGV[1]), ARGV[2]
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)

local count = (#KEYS - 2) / 2
local claimKeys, jobIds = {}, {}
for i = 1, count do
  claimKeys[i] = KEYS[2 * i + 1]
  -- \`...:claim:\` and \`...:paused\` are of one length: what follows is the job's id.
  jobIds[i] = string.sub(claimKeys[i], #KEYS[2] + 1)
end
local records = redis.call('MGET', unpack(claimKeys))
local pauses = redis.call('HMGET', KEYS[2], unpack(jobIds))
local fence = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
local fenced = false
local answers = {}

-- A lock that is the run's own already, as its first reply was lost, gets its whole TTL again.
-- pcall: a foreign key of another type in the lock's place is a lock held by somebody else.
local function takeLock(key, runId, ttl)
  if redis.call('SET', key, runId, 'PX', ttl, 'NX') then return true end
  return redis.pcall('GET', key) == runId and redis.call('SET', key, runId, 'PX', ttl) and true
end

for i = 1, count do
  local kind, scheduledTime, runId, ttl, keep, after, pausedInitially =
    string.match(ARGV[i + 2], '^(%a) (%-?%d+) (%S+) (%d+) (%d+) (%d+) (%d)$')
  scheduledTime = tonumber(scheduledTime)
  local claimKey, lockKey = claimKeys[i], KEYS[2 * i + 2]
  local tick, claimedBy, rest = -1, '-', '0 - 0 0 -'
  local known = nil
  if records[i] then
    local last, by, run = string.match(records[i], '^(%-?%d+) (%S+) (%d+ %S+ .*)$')
    -- What cannot be read is no record: it must not stop the other jobs of the call.
    if last then known, tick, claimedBy, rest = true, tonumber(last), by, run end
  end
  local manual = kind == 'h'
  local repeated = claimedBy == runId
  local early = nil

  -- An interval measured from the last run's end: only this script knows when that was.
  after = tonumber(after)
  if after > 0 and not manual then
    if not known then
      -- The first replica to ask sets the time from which the interval is measured.
      rest = now .. ' - 0 0 -'
      redis.call('SET', claimKey, '-1 - ' .. rest, 'PX', keep)
    end
    if repeated and tick >= 0 then
      scheduledTime = tick
    elseif redis.call('EXISTS', lockKey) == 1 then
      early = now + after
    else
      scheduledTime = math.max(math.max(tonumber(string.match(rest, '^(%d+)')), tick) + after, scheduledTime)
      if now < scheduledTime then early = scheduledTime end
    end
  end
  if not early and not manual and scheduledTime > now + maxClockSkew then early = scheduledTime end

  if early then
    answers[i] = string.format('4 %.0f', early)
  else
    local later = manual or repeated or scheduledTime > tick
    local paused = pauses[i]
    if not paused and pausedInitially == '1' then
      paused = '{}'
      redis.call('HSET', KEYS[2], jobIds[i], paused)
    end
    paused = paused and paused ~= '-' and not manual
    local newTick, newClaimedBy = tick, claimedBy
    if later and not manual then newTick, newClaimedBy = scheduledTime, runId end

    if not later then
      answers[i] = paused and string.format('3 0 %.0f', tick) or '1'
    else
      local code = 0
      if paused then
        code = 3
      elseif kind == 'm' then
        code = 0
      elseif takeLock(lockKey, runId, ttl) then
        fence = math.max(fence + 1, micros)
        fenced = true
        rest = string.format('0 %s %.0f %.0f %s', runId, fence, now, replicaId)
      else
        code = 2
      end
      if code == 0 or not manual then
        local record = string.format('%.0f %s %s', newTick, newClaimedBy, rest)
        -- A run by hand knows nothing of the ticks, nor for how long the last one must be remembered.
        if manual and known then redis.call('SET', claimKey, record, 'KEEPTTL')
        else redis.call('SET', claimKey, record, 'PX', keep) end
      end
      if code == 3 then answers[i] = string.format('3 1 %.0f', tick)
      elseif code == 2 then answers[i] = string.format('2 %.0f', tick)
      else answers[i] = string.format('0 %.0f %.0f %.0f', fence, tick, scheduledTime) end
    end
  end
end
if fenced then redis.call('SET', KEYS[1], string.format('%.0f', fence)) end
return { micros, table.concat(answers, ' ') }
`

/**
 * Ends many runs in one step: releases each lock whose value is still the run's id, as redlock's own release does, and
 * records when the run ended.
 *
 * KEYS  for each run its lock and its claim
 * ARGV  for each run its id
 * Reply for each run 1 when the lock was released, 0 when it was not the run's own any more
 */
export const FINISH_SCRIPT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reply = {}
for i, runId in ipairs(ARGV) do
  local lockKey, claimKey = KEYS[2 * i - 1], KEYS[2 * i]
  if redis.pcall('GET', lockKey) == runId then
    redis.call('DEL', lockKey)
    reply[i] = 1
  else
    reply[i] = 0
  end
  local record = redis.pcall('GET', claimKey)
  if type(record) == 'string' then
    local tick, claimedBy, id, tail = string.match(record, '^(%-?%d+) (%S+) 0 (%S+) (.*)$')
    if id == runId then
      -- It is over, and its request is not repeated.
      if claimedBy == runId then claimedBy = '-' end
      redis.call('SET', claimKey, string.format('%s %s %.0f %s %s', tick, claimedBy, now, runId, tail), 'KEEPTTL')
    end
  end
end
return reply
`

/**
 * Redis' time in microseconds: that of the node which holds the app's keys, so that it is the claims' own also in a
 * Cluster.
 *
 * KEYS  fence
 */
export const TIME_SCRIPT = `
local time = redis.call('TIME')
return time[1] * 1000000 + time[2]
`

/**
 * The next fencing token, for a lock by name.
 *
 * KEYS  fence
 * Reply the token
 */
export const FENCE_SCRIPT = `
local time = redis.call('TIME')
local fence = math.max((tonumber(redis.call('GET', KEYS[1]) or '0') or 0) + 1, time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], string.format('%.0f', fence))
return fence
`
