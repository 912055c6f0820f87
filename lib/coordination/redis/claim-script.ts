import { DAY, HOUR, MINUTE } from '../../base/duration.js'

/**
 * How many attempts a run has, the first included: a handler that takes every process down with it must not go round the fleet for ever.
 */
export const MAX_ATTEMPTS = 10

/** The id, in a record, of a run whose takeover was given up before it began: it is unfinished, and nobody's. */
export const GIVEN_UP = '~'

/**
 * How long it is remembered at most since when the fleet has had a job, from the job's first claim on: no longer than any
 * claim, as ticks whose claims are forgotten would count as nobody's.
 */
export const KEEP_SINCE = 7 * DAY

/**
 * Claims the due ticks of many jobs, and takes the locks of those that are to run, in one atomic step.
 *
 * Per job one string, `claim:<id>`, remembers its last claimed tick and its last granted run:
 *
 *     tick previous claimedBy endedAt runId fencingToken startedAt replicaId runTick attempt definition
 *
 * `tick` is -1 before the first, and `previous` the one before it, should the claim be handed back. `claimedBy` is the
 * request that claimed it, so that a request whose reply was lost can be repeated; `-` once its run has ended. It begins
 * with `?` for a vote, until the claim is confirmed: nobody has run or counted the tick yet. The run is that of the tick
 * `runTick`, with `endedAt` 0 while it goes on, and `attempt` 0 when nobody is to take it over. `definition` is that of
 * the replica that claimed last, `trigger.options`, with a trigger that begins with `@` for a date. A date in the place of a
 * trigger whose ticks are later is claimed beside them. The lock, `lock:<id>`, is a Redlock: a key whose value is the
 * holder's token (the run's id) and whose expiry is the TTL, set only when it is not there.
 *
 * Runs that have begun and not ended stand in `open`, a sorted set, by when their lock ends unless it is extended:
 *
 *     runId fencingToken startedAt replicaId runTick attempt jobId
 *
 * as in the record, so that one is known by the other. A record knows its job's last run only; one that has lost its lock
 * to the next is still there.
 *
 * Fencing tokens come from one counter for all jobs, which is kept at or above Redis' own time in microseconds: they
 * still increase when Redis has lost the counter.
 *
 * A call that is repeated under its id, as its reply was lost, is not executed again: it gets the reply it had.
 *
 * All requests are one argument and all answers one reply, and the keys of the jobs are made here: a client spends more
 * on each value it sends or reads than Redis spends here. They lie in the slot of the keys that are given, and are all
 * read by one command before anything is written: a Cluster whose slot is moving refuses that command as a whole.
 *
 * A block is a set of jobs with one trigger. Once a tick of all of them is taken, `taken:<tick>` has the block's name,
 * so that those who still wait need not ask for each. It answers no request: a claim may have been handed back since, or
 * be the request's own. A claim that is handed back takes the marks of its tick away.
 *
 * KEYS  fence, paused, handed, the replica's last reply, and `taken:<tick>` where there are blocks
 * ARGV  maxClockSkew, replicaId, the call's id or `-`, then one line each for
 *       the terms of requests: `kind scheduledTime through ttl keep after flags definition`, with the flags 1 for paused at
 *       first, 2 for waits, 4 for rerun, 8 for a vote: it is confirmed later, and told who has claimed a tick, else `-`;
 *       the requests: `terms runId jobId`, with the number of their terms' line;
 *       the blocks: `name size`, for the first `size` requests, then for those that follow; `name 0` for those that are
 *       only asked about
 * Reply Redis' time in microseconds; a string of the answers, one after the other: `0 fence previous scheduledTime` for
 *       granted, `1` for claimed elsewhere, `7 last` for the same of a request that waits, `9 last claimedBy previous`
 *       for the same of a vote, `2 taken previous` for overlap (with 2 added to `taken` when the run is to be taken over),
 *       `o taken previous holder` for the same of a vote, with `-` for a lock that no run holds,
 *       `u` for a job whose record cannot be read, `3 previous` for paused, `8 claimedBy previous` for the same of a tick that is claimed elsewhere, `4 due` for
 *       early, `5 remaining` for running, `6 fence scheduledTime attempt id fence startedAt replicaId lockedUntil` for a run taken over, with
 *       what the record said of it before, with -1 for a `previous`
 *       that there is none of, and with `/resumedAt` after one that is earlier than that; `index:tick:definition:replicaId` of the
 *       requests whose job was last claimed by another definition; what was handed back, as the hash has it; for each block that
 *       is only asked about a digit, 1 when it is taken; without this last where the call is repeated
 */
export const CLAIM_SCRIPT = `
local call, concat, format, match, sub = redis.call, table.concat, string.format, string.match, string.sub
local maxClockSkew, replicaId, callId = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local time = call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)

if callId ~= '-' then
  local last = redis.pcall('GET', KEYS[4])
  if type(last) == 'string' and sub(last, 1, #callId + 1) == callId .. ' ' then
    return { micros, sub(last, #callId + 2), '', {} }
  end
end

-- \`...:fence\` is given: what the other keys begin with.
local base = sub(KEYS[1], 1, -6)
local terms = {}
local line = 0
for kind, scheduledTime, through, ttl, keep, after, flags, definition in
  string.gmatch(ARGV[4], '(%a) (%-?%d+) (%-?%d+) (%d+) (%d+) (%d+) (%d+) (%S+)') do
  flags = tonumber(flags)
  line = line + 1
  terms[tostring(line)] = {
    kind = kind, scheduledTime = tonumber(scheduledTime), through = tonumber(through), ttl = ttl, keep = keep,
    after = tonumber(after), definition = definition, manual = kind == 'h', vote = flags >= 8, rerun = flags % 8 >= 4,
    waits = flags % 4 >= 2, pausedInitially = flags % 2 == 1
  }
end

local count = 0
local termsOf, runIds, jobIds, keys = {}, {}, {}, { KEYS[1] }
for index, runId, jobId in string.gmatch(ARGV[5], '(%d+) (%S+) ([^\\n]+)') do
  count = count + 1
  termsOf[count], runIds[count], jobIds[count] = terms[index], runId, jobId
  keys[count + 1] = base .. 'claim:' .. jobId
end
for i = 1, count do keys[count + i + 1] = base .. 'lock:' .. jobIds[i] end
local openKey = base .. 'open'
keys[2 * count + 2] = openKey

local blocks, sizes = {}, {}
for name, size in string.gmatch(ARGV[6], '(%S+) (%d+)') do
  blocks[#blocks + 1], sizes[#sizes + 1] = name, tonumber(size)
end
local marks = #blocks > 0 and call('SMISMEMBER', KEYS[5], unpack(blocks))

-- \`MGET\` has nothing of a foreign key of another type: the lock it lies in the place of is held by somebody else, the
-- record is one that cannot be read.
local known = call('MGET', unpack(keys))
local pauses = call('HMGET', KEYS[2], unpack(jobIds))
local handed = call('HGETALL', KEYS[3])
for i = 2, #handed, 2 do
  -- Nobody has come for it within a day: nobody has the job any more.
  if (tonumber(match(handed[i], '%d+$')) or 0) < now - ${DAY} then call('HDEL', KEYS[3], handed[i - 1]) end
end
local fence = tonumber(known[1] or '0') or 0
local fenceText, isFenced = format('%.0f', fence), false
local answers, differing = {}, {}
local opened, closed = {}, {}

-- Numbers are written out in full. Jobs of one trigger have most of theirs in common: each is read and written once.
local texts, numbers = {}, {}
local function digits(number)
  local text = texts[number]
  if not text then
    text = format('%.0f', number)
    texts[number] = text
  end
  return text
end
local function read(text)
  local number = numbers[text]
  if not number then
    number = tonumber(text)
    numbers[text] = number
  end
  return number
end

-- A lock that is the run's own already, as its first reply was lost, gets its whole TTL again.
local function takeLock(i, ttl)
  local key, runId, holder = keys[count + i + 1], runIds[i], known[count + i + 1]
  if holder then return holder == runId and call('SET', key, runId, 'PX', ttl) end
  return call('SET', key, runId, 'PX', ttl, 'NX')
end

local function nextFence()
  fence = math.max(fence + 1, micros)
  fenceText = format('%.0f', fence)
  isFenced = true
  return fenceText
end

-- What a record has between the fencing token and the tick of a run that begins now.
local begun = ' ' .. digits(now) .. ' ' .. replicaId .. ' '

-- The id and the attempt of a run that is to be taken over once its lock is free.
local function unfinished(run)
  local id, attempt = match(run, '^0 (%S+) .* (%d+)$')
  attempt = tonumber(attempt)
  if id and id ~= '-' and attempt > 0 and attempt < ${MAX_ATTEMPTS} then return id, attempt end
end

local function record(tick, previous, claimedBy, run, as)
  return digits(tick) .. ' ' .. digits(previous) .. ' ' .. claimedBy .. ' ' .. run .. ' ' .. as
end

local function open(i, run, ttl)
  opened[#opened + 1] = digits(now + ttl)
  opened[#opened + 1] = sub(run, 3) .. ' ' .. jobIds[i]
end
local function close(i, run)
  closed[#closed + 1] = run .. ' ' .. jobIds[i]
end

local function triggerOf(definition)
  return match(definition, '^[^.]+')
end

-- A date has one tick: \`dates:<id>\` remembers which were claimed, where the job has ticks of other triggers as well.
local function isDate(definition)
  return string.byte(definition) == 64
end

local function noteDate(i, definition, runId)
  local key = base .. 'dates:' .. jobIds[i]
  call('HSET', key, triggerOf(definition), runId)
  call('PEXPIRE', key, ${35 * DAY})
end

-- Where two triggers are there at a time the record is of one of them: the other is accounted for up to its last tick.
local function noteAccounted(i, definition, tick)
  local key = base .. 'since:' .. jobIds[i]
  local known = redis.pcall('GET', key)
  local at, trigger = match(type(known) == 'string' and known or '', '^(%-?%d+) (%S+)$')
  if trigger == triggerOf(definition) and tonumber(at) < tick then
    call('SET', key, digits(tick) .. ' ' .. trigger, 'KEEPTTL')
  end
end

-- The first claim under a trigger: from here on its claims say what was taken.
local function noteClaimed(i, definition, keep)
  local key = base .. 'since:' .. jobIds[i]
  local known = redis.pcall('GET', key)
  if match(type(known) == 'string' and known or '', '^%-?%d+ (%S+)$') == triggerOf(definition) then
    call('PEXPIRE', key, math.min(tonumber(keep), ${KEEP_SINCE}))
  end
end

-- Ticks of another trigger say nothing of this one's.
local function accounted(before, resumedAt, as, definition)
  if as ~= definition and triggerOf(as) ~= triggerOf(definition) then before = -1 end
  return resumedAt > before and digits(before) .. '/' .. digits(resumedAt) or digits(before)
end

local function answer(i)
  local term, runId = termsOf[i], runIds[i]
  local kind, scheduledTime, through, ttl, after = term.kind, term.scheduledTime, term.through, term.ttl, term.after
  local definition, manual, rerun, waits, keep = term.definition, term.manual, term.rerun, term.waits, term.keep
  local claimKey, lockKey = keys[i + 1], keys[count + i + 1]
  local isKnown, tick, previous, claimedBy, run, claimedAs = nil, -1, -1, '-', '0 - 0 0 - -1 0', definition
  if known[i + 1] then
    local t, p, by, r, as = match(known[i + 1], '^(%-?%d+) (%-?%d+) (%S+) (%d+ %S+ %d+ %d+ %S+ %-?%d+ %d+) (%S+)$')
    if t then isKnown, tick, previous, claimedBy, run, claimedAs = true, read(t), read(p), by, r, as end
  end
  -- What cannot be read may be of a tick that ran. It must not stop the other jobs of the call.
  if not isKnown and (known[i + 1] or call('EXISTS', claimKey) == 1) then
    answers[i] = 'u'
    return
  end
  if claimedAs ~= definition then differing[#differing + 1] = (i - 1) .. ':' .. digits(tick) .. ':' .. claimedAs .. ':' .. match(run, '^%d+ %S+ %d+ %d+ (%S+)') end
  local openBy = string.byte(claimedBy) == 63 and sub(claimedBy, 2) or nil
  -- The run of a claim that was never confirmed has not begun.
  local unbegun = nil
  if openBy and openBy ~= runId and match(run, '^0 (%S+)') == openBy then
    unbegun = sub(run, 3)
    run = digits(tick) .. sub(run, 2)
  end

  local paused = pauses[i]
  local resumedAt = -1
  -- A pause by code ends where the code has it no more, and begins anew where it comes back. What an operator has said stays.
  if term.pausedInitially then
    if not paused or sub(paused, -1) == '~' then
      paused = '{}'
      call('HSET', KEYS[2], jobIds[i], paused)
    end
  elseif paused == '{}' then
    paused = '-' .. digits(now) .. '~'
    call('HSET', KEYS[2], jobIds[i], paused)
  end
  if paused and sub(paused, 1, 1) == '-' then
    resumedAt = tonumber(match(paused, '^-(%d+)')) or -1
    paused = false
  end
  paused = paused and not manual

  if kind == 'r' then
    local id, attempt = unfinished(run)
    local mine = match(run, '^0 (%S+)') == runId
    if not id and not mine then
      answers[i] = term.vote and '9 -1 - -1' or '1'
    elseif paused then
      answers[i] = '8 - -1'
    elseif takeLock(i, ttl) then
      local from, runTick, taken = match(run, '^%d+ (%S+ %S+ %S+ %S+) (%-?%d+) (%d+)$')
      local lockedUntil = call('ZSCORE', openKey, sub(run, 3) .. ' ' .. jobIds[i]) or digits(now)
      if not mine then
        taken = attempt + 1
        run = '0 ' .. runId .. ' ' .. nextFence() .. begun .. runTick .. ' ' .. taken
        -- Should its holder come back, its claim is over.
        if claimedBy == id then claimedBy = '-' end
        call('SET', claimKey, record(tick, previous, claimedBy, run, claimedAs), 'KEEPTTL')
        open(i, run, ttl)
      end
      answers[i] = '6 ' .. fenceText .. ' ' .. runTick .. ' ' .. taken .. ' ' .. from .. ' ' .. lockedUntil
    else
      answers[i] = '5 ' .. call('PTTL', lockKey)
    end
  else
    local repeated = (openBy or claimedBy) == runId
    local early = nil

    -- An interval measured from the last run's end: only this script knows when that was.
    if after > 0 and not manual then
      if not isKnown then
        -- The first replica to ask sets the time from which the interval is measured.
        isKnown, run = true, now .. ' - 0 0 - -1 0'
        call('SET', claimKey, record(-1, -1, '-', run, definition), 'PX', keep)
      end
      if repeated and tick >= 0 then
        scheduledTime = tick
      elseif call('EXISTS', lockKey) == 1 then
        early = now + after
      else
        scheduledTime = math.max(math.max(tonumber(match(run, '^(%d+)')), tick) + after, scheduledTime)
        if now < scheduledTime then early = scheduledTime end
      end
      through = scheduledTime
    end
    if not early and not manual and scheduledTime > now + maxClockSkew then early = scheduledTime end

    local isAside = not manual and scheduledTime < tick and isDate(definition) and triggerOf(claimedAs) ~= triggerOf(definition)
      and (not openBy or openBy == runId)
    if isAside then
      local by = call('HGET', base .. 'dates:' .. jobIds[i], triggerOf(definition))
      isAside = not by or by == runId
    end

    if early then
      answers[i] = '4 ' .. digits(early)
    elseif not (manual or repeated or scheduledTime > tick or isAside) then
      local before = accounted(previous, -1, claimedAs, definition)
      if claimedAs ~= definition and triggerOf(claimedAs) ~= triggerOf(definition) then
        noteAccounted(i, definition, scheduledTime)
      end
      if paused then answers[i] = '8 ' .. (term.vote and (openBy or claimedBy) or '-') .. ' ' .. before
      elseif term.vote then answers[i] = '9 ' .. digits(waits and tick or -1) .. ' ' .. (openBy or claimedBy) .. ' ' .. before
      else answers[i] = waits and '7 ' .. digits(tick) or '1' end
    else
      local before = (repeated or openBy) and previous or tick
      local told = accounted(before, resumedAt, claimedAs, definition)
      local code = 0
      local left, isLeft = rerun and unfinished(run), false
      if paused then
        code = 3
      elseif kind == 'm' then
        -- Granted before, as its reply was lost, and too late to run now.
        if known[count + i + 1] == runId then call('DEL', lockKey) end
        if match(run, '^0 (%S+)') == runId then
          close(i, sub(run, 3))
          run = now .. sub(run, 2)
        end
      elseif left and left ~= runId and call('EXISTS', lockKey) == 0 then
        code = 2
        isLeft = true
      elseif takeLock(i, ttl) then
        -- Granted before, as its reply was lost.
        if (repeated or manual) and match(run, '^0 (%S+)') == runId then close(i, sub(run, 3)) end
        local attempt = rerun and not manual and ' 1' or ' 0'
        run = '0 ' .. runId .. ' ' .. nextFence() .. begun .. digits(scheduledTime) .. attempt
        open(i, run, ttl)
      else
        code = 2
      end
      local taken = not manual and not (code == 2 and waits)
      if manual then
        -- A run by hand knows nothing of the ticks, nor for how long the last one must be remembered.
        -- But an interval from the last end is measured from the end of any run.
        if code == 0 and isKnown and after > 0 then
          call('SET', claimKey, record(tick, previous, claimedBy, run, claimedAs), 'PX', keep)
        elseif code == 0 and isKnown then
          call('SET', claimKey, record(tick, previous, claimedBy, run, claimedAs), 'KEEPTTL')
        elseif code == 0 then call('SET', claimKey, record(-1, -1, '-', run, definition), 'PX', keep) end
      elseif taken then
        local by = term.vote and claimedBy ~= runId and '?' .. runId or runId
        if isAside then
          -- The ticks of the other trigger stay claimed.
          noteDate(i, definition, runId)
          call('SET', claimKey, record(tick, tick, by, run, claimedAs), 'PX', keep)
        else
          local isOther = claimedAs ~= definition and triggerOf(claimedAs) ~= triggerOf(definition)
          if isOther and tick >= 0 then
            if isDate(claimedAs) then noteDate(i, claimedAs, '-') end
            noteAccounted(i, claimedAs, tick)
          end
          if (isOther or tick < 0) and after == 0 and not isDate(definition) then noteClaimed(i, definition, keep) end
          call('SET', claimKey, record(through, before, by, run, definition), 'PX', keep)
        end
        if unbegun then close(i, unbegun) end
        if #handed > 0 and call('HDEL', KEYS[3], jobIds[i]) == 1 then handed = call('HGETALL', KEYS[3]) end
      end
      if code == 3 then answers[i] = '3 ' .. told
      elseif code == 2 then
        answers[i] = (term.vote and 'o ' or '2 ') .. (taken and 1 or 0) + (isLeft and 2 or 0) .. ' ' .. told
        if term.vote then answers[i] = answers[i] .. ' ' .. (match(known[count + i + 1] or '', '^%S+$') or '-') end
      else answers[i] = '0 ' .. fenceText .. ' ' .. told .. ' ' .. digits(scheduledTime) end
    end
  end
end

local at, finished, asked = 0, {}, {}
for b = 1, #blocks do
  if sizes[b] == 0 then asked[#asked + 1] = marks[b] end
  local isWhole = sizes[b] > 0
  for i = at + 1, at + sizes[b] do
    answer(i)
    isWhole = isWhole and (string.find(answers[i], '^[01]') or string.find(answers[i], '^2 [13]'))
  end
  at = at + sizes[b]
  if isWhole then finished[#finished + 1] = blocks[b] end
end
for i = at + 1, count do answer(i) end
if #finished > 0 then
  call('SADD', KEYS[5], unpack(finished))
  call('PEXPIRE', KEYS[5], ${MINUTE})
end
if isFenced then call('SET', KEYS[1], fenceText) end
if #closed > 0 then call('ZREM', openKey, unpack(closed)) end
if #opened > 0 then call('ZADD', openKey, unpack(opened)) end
answers = concat(answers, ' ')
if callId ~= '-' then call('SET', KEYS[4], callId .. ' ' .. answers, 'PX', ${HOUR}) end
return { micros, answers, concat(differing, ' '), handed, concat(asked) }
`
