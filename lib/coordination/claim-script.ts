import { DAY, HOUR } from '../duration.js'

/**
 * How many attempts a run has, the first included: a handler that takes every process down with it must not go round the fleet for ever.
 */
export const MAX_ATTEMPTS = 10

/**
 * Claims the due ticks of many jobs, and takes the locks of those that are to run, in one atomic step.
 *
 * Per job one string, `claim:<id>`, remembers its last claimed tick and its last granted run:
 *
 *     tick previous claimedBy endedAt runId fencingToken startedAt replicaId runTick attempt definition
 *
 * `tick` is -1 before the first, and `previous` the one before it, should the claim be handed back. `claimedBy` is the
 * request that claimed it, so that a request whose reply was lost can be repeated; `-` once its run has ended. It begins
 * with `?` for a vote, until the claim is confirmed: nobody has run or counted the tick yet. The run is that of the tick `runTick`, with `endedAt` 0 while it goes on, and `attempt` 0 when nobody is to take it over.
 * `definition` is that of the replica that claimed last, `trigger.options`. The lock is a Redlock: a key whose value is
 * the holder's token (the run's id) and whose expiry is the TTL, set only when it is not there.
 *
 * Fencing tokens come from one counter for all jobs, which is kept at or above Redis' own time in microseconds: they
 * still increase when Redis has lost the counter.
 *
 * A call that is repeated under its id, as its reply was lost, is not executed again: it gets the reply it had.
 *
 * What is said of a request is one argument and one part of one reply: a client spends more on each value it sends or
 * reads than Redis spends here.
 *
 * KEYS  fence, paused, handed, the replica's last reply, then for each request its claim and its lock
 * ARGV  maxClockSkew, replicaId, the call's id or `-`, then for each request
 *       `kind scheduledTime through runId ttl keep after flags definition`, with the flags 1 for paused at first, 2 for
 *       waits, 4 for rerun, 8 for a vote: it is confirmed later, and told who has claimed a tick, else `-`
 * Reply Redis' time in microseconds; a string of the answers, one after the other: `0 fence previous scheduledTime` for
 *       granted, `1` for claimed elsewhere, `7 last` for the same of a request that waits, `9 last claimedBy previous`
 *       for the same of a vote, `2 taken previous` for overlap (with 2 added to `taken` when the run is to be taken over),
 *       `3 previous` for paused, `8 claimedBy previous` for the same of a tick that is claimed elsewhere, `4 due` for early, `5 remaining` for
 *       running, `6 fence scheduledTime attempt` for a run taken over, with -1 for a `previous` that there is none of, and
 *       with `/resumedAt` after one that is earlier than that; `index:tick` of the requests whose job was last claimed by
 *       another definition; what was handed back, as the hash has it
 */
export const CLAIM_SCRIPT = `
local maxClockSkew, replicaId, callId = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)

if callId ~= '-' then
  local last = redis.pcall('GET', KEYS[4])
  if type(last) == 'string' and string.sub(last, 1, #callId + 1) == callId .. ' ' then
    return { micros, string.sub(last, #callId + 2), '', {} }
  end
end

local count = (#KEYS - 4) / 2
local claimKeys, jobIds = {}, {}
for i = 1, count do
  claimKeys[i] = KEYS[2 * i + 3]
  -- \`...:claim:\` and \`...:paused\` are of one length: what follows is the job's id.
  jobIds[i] = string.sub(claimKeys[i], #KEYS[2] + 1)
end
local records = redis.call('MGET', unpack(claimKeys))
local pauses = redis.call('HMGET', KEYS[2], unpack(jobIds))
local handed = redis.call('HGETALL', KEYS[3])
for i = 2, #handed, 2 do
  -- Nobody has come for it within a day: nobody has the job any more.
  if (tonumber(string.match(handed[i], '%d+$')) or 0) < now - ${DAY} then redis.call('HDEL', KEYS[3], handed[i - 1]) end
end
local fence = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
local fenced = false
local answers, differing = {}, {}

-- A lock that is the run's own already, as its first reply was lost, gets its whole TTL again.
-- pcall: a foreign key of another type in the lock's place is a lock held by somebody else.
local function takeLock(key, runId, ttl)
  if redis.call('SET', key, runId, 'PX', ttl, 'NX') then return true end
  return redis.pcall('GET', key) == runId and redis.call('SET', key, runId, 'PX', ttl) and true
end

local function nextFence()
  fence = math.max(fence + 1, micros)
  fenced = true
  return fence
end

-- The id and the attempt of a run that is to be taken over once its lock is free.
local function unfinished(run)
  local id, attempt = string.match(run, '^0 (%S+) .* (%d+)$')
  attempt = tonumber(attempt)
  if id and id ~= '-' and attempt > 0 and attempt < ${MAX_ATTEMPTS} then return id, attempt end
end

for i = 1, count do
  local kind, scheduledTime, through, runId, ttl, keep, after, flags, definition =
    string.match(ARGV[i + 3], '^(%a) (%-?%d+) (%-?%d+) (%S+) (%d+) (%d+) (%d+) (%d+) (%S+)$')
  scheduledTime, through, after, flags = tonumber(scheduledTime), tonumber(through), tonumber(after), tonumber(flags)
  local rerun = flags % 8 >= 4
  local waits = flags % 4 >= 2
  local pausedInitially = flags % 2 == 1
  local manual = kind == 'h'
  local claimKey, lockKey = claimKeys[i], KEYS[2 * i + 4]
  local known, tick, previous, claimedBy, run, claimedAs = nil, -1, -1, '-', '0 - 0 0 - -1 0', definition
  if records[i] then
    local t, p, by, r, as = string.match(records[i], '^(%-?%d+) (%-?%d+) (%S+) (%d+ %S+ %d+ %d+ %S+ %-?%d+ %d+) (%S+)$')
    -- What cannot be read is no record: it must not stop the other jobs of the call.
    if t then known, tick, previous, claimedBy, run, claimedAs = true, tonumber(t), tonumber(p), by, r, as end
  end
  if claimedAs ~= definition then differing[#differing + 1] = string.format('%d:%.0f', i - 1, tick) end
  local openBy = string.match(claimedBy, '^%?(.+)$')
  -- The run of a claim that was never confirmed has not begun.
  if openBy and openBy ~= runId and string.match(run, '^0 (%S+)') == openBy then
    run = string.format('%.0f', tick) .. string.sub(run, 2)
  end
  local function record(newTick, newPrevious, newClaimedBy, as)
    return string.format('%.0f %.0f %s %s %s', newTick, newPrevious, newClaimedBy, run, as)
  end

  -- Ticks of another trigger say nothing of this one's.
  local function accounted(before, resumedAt)
    if before < 0 or string.match(claimedAs, '^[^.]+') ~= string.match(definition, '^[^.]+') then return '-1' end
    return string.format(resumedAt > before and '%.0f/%.0f' or '%.0f', before, resumedAt)
  end

  local paused = pauses[i]
  local resumedAt = -1
  if not paused and pausedInitially then
    paused = '{}'
    redis.call('HSET', KEYS[2], jobIds[i], paused)
  end
  if paused and string.sub(paused, 1, 1) == '-' then
    resumedAt = tonumber(string.sub(paused, 2)) or -1
    paused = false
  end
  paused = paused and not manual

  if kind == 'r' then
    local id, attempt = unfinished(run)
    local mine = string.match(run, '^0 (%S+)') == runId
    if not id and not mine then
      answers[i] = flags >= 8 and '9 -1 - -1' or '1'
    elseif paused then
      answers[i] = '8 - -1'
    elseif takeLock(lockKey, runId, ttl) then
      local runTick, taken = string.match(run, '(%-?%d+) (%d+)$')
      if not mine then
        taken = attempt + 1
        run = string.format('0 %s %.0f %.0f %s %s %.0f', runId, nextFence(), now, replicaId, runTick, taken)
        -- Should its holder come back, its claim is over.
        if claimedBy == id then claimedBy = '-' end
        redis.call('SET', claimKey, record(tick, previous, claimedBy, claimedAs), 'KEEPTTL')
      end
      answers[i] = string.format('6 %.0f %s %s', fence, runTick, taken)
    else
      answers[i] = string.format('5 %.0f', redis.call('PTTL', lockKey))
    end
  else
    local repeated = (openBy or claimedBy) == runId
    local early = nil

    -- An interval measured from the last run's end: only this script knows when that was.
    if after > 0 and not manual then
      if not known then
        -- The first replica to ask sets the time from which the interval is measured.
        known, run = true, now .. ' - 0 0 - -1 0'
        redis.call('SET', claimKey, record(-1, -1, '-', definition), 'PX', keep)
      end
      if repeated and tick >= 0 then
        scheduledTime = tick
      elseif redis.call('EXISTS', lockKey) == 1 then
        early = now + after
      else
        scheduledTime = math.max(math.max(tonumber(string.match(run, '^(%d+)')), tick) + after, scheduledTime)
        if now < scheduledTime then early = scheduledTime end
      end
      through = scheduledTime
    end
    if not early and not manual and scheduledTime > now + maxClockSkew then early = scheduledTime end

    if early then
      answers[i] = string.format('4 %.0f', early)
    elseif not (manual or repeated or scheduledTime > tick) then
      local before = accounted(previous, -1)
      if paused then answers[i] = string.format('8 %s %s', flags >= 8 and (openBy or claimedBy) or '-', before)
      elseif flags >= 8 then answers[i] = string.format('9 %.0f %s %s', waits and tick or -1, openBy or claimedBy, before)
      else answers[i] = waits and string.format('7 %.0f', tick) or '1' end
    else
      local before = (repeated or openBy) and previous or tick
      local told = accounted(before, resumedAt)
      local code = 0
      local left, isLeft = rerun and unfinished(run), false
      if paused then
        code = 3
      elseif kind == 'm' then
        -- Granted before, as its reply was lost, and too late to run now.
        if redis.pcall('GET', lockKey) == runId then redis.call('DEL', lockKey) end
        if string.match(run, '^0 (%S+)') == runId then run = now .. string.sub(run, 2) end
      elseif left and left ~= runId and redis.call('EXISTS', lockKey) == 0 then
        code = 2
        isLeft = true
      elseif takeLock(lockKey, runId, ttl) then
        local attempt = rerun and not manual and 1 or 0
        run = string.format('0 %s %.0f %.0f %s %.0f %d', runId, nextFence(), now, replicaId, scheduledTime, attempt)
      else
        code = 2
      end
      local taken = not manual and not (code == 2 and waits)
      if manual then
        -- A run by hand knows nothing of the ticks, nor for how long the last one must be remembered.
        if code == 0 and known then redis.call('SET', claimKey, record(tick, previous, claimedBy, claimedAs), 'KEEPTTL')
        elseif code == 0 then redis.call('SET', claimKey, record(-1, -1, '-', definition), 'PX', keep) end
      elseif taken then
        local by = flags >= 8 and claimedBy ~= runId and '?' .. runId or runId
        redis.call('SET', claimKey, record(through, before, by, definition), 'PX', keep)
        if #handed > 0 and redis.call('HDEL', KEYS[3], jobIds[i]) == 1 then handed = redis.call('HGETALL', KEYS[3]) end
      end
      if code == 3 then answers[i] = '3 ' .. told
      elseif code == 2 then answers[i] = string.format('2 %d %s', (taken and 1 or 0) + (isLeft and 2 or 0), told)
      else answers[i] = string.format('0 %.0f %s %.0f', fence, told, scheduledTime) end
    end
  end
end
if fenced then redis.call('SET', KEYS[1], string.format('%.0f', fence)) end
answers = table.concat(answers, ' ')
if callId ~= '-' then redis.call('SET', KEYS[4], callId .. ' ' .. answers, 'PX', ${HOUR}) end
return { micros, answers, table.concat(differing, ' '), handed }
`
