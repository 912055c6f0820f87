-- The slots of the job that claim.lua is answering for, and what waits for one, in the job's variables there.

-- How many slots of the job have been taken: replicas may define the job with more than the request's.
local function knownSlots()
  return tonumber(match(fields, ';n=(%d+)')) or 1
end

local function noteSlots(count)
  fields = string.gsub(fields, ';n=%d+', '')
  if count > 1 then fields = fields .. ';n=' .. count end
end

-- Who holds each slot from one on.
local function holdersOf(first, last)
  local slotKeys = {}
  for number = first, last do slotKeys[#slotKeys + 1] = slotKey(jobId, number) end
  return call('MGET', unpack(slotKeys))
end

-- The attempt of a run that is to be taken over once its lock is free; nil where there is none.
local function unfinishedAttempt(itsGrant)
  if not itsGrant then return nil end
  local id, _, _, _, _, attempt = readGrant(itsGrant)
  attempt = tonumber(attempt)
  return attempt > 0 and attempt < MAX_ATTEMPTS and not isReplaced(id) and attempt or nil
end

-- Takes the first free slot from one on. A slot whose run is to be taken over is not free.
local function takeFrom(first, last, isLeft)
  local holders = holdersOf(first, last)
  for i = 1, #holders do
    local number = first + i - 1
    if holders[i] then
      -- It is held.
    elseif template.isRerun and unfinishedAttempt(runInSlot(jobId, number)) then
      isLeft = true
    elseif call('SET', slotKey(jobId, number), runId, 'PX', template.ttl, 'NX') then
      slot = digits(number)
      return true
    end
  end
  return false, isLeft
end

local slots = {}

-- Takes a slot: the first if that is free, else any other. Whether there was one, and if not, whether there is a run
-- that is to be taken over. While replicas differ in how many there are, none begins a run where as many go on as it
-- has slots.
function slots.take(isFirstLeft)
  local count, before = template.slots, knownSlots()
  if before > count then
    local held, isAbove = (holder or isFirstLeft) and 1 or 0, false
    local holders = holdersOf(2, before)
    for i = 1, #holders do
      if holders[i] then
        held = held + 1
        isAbove = isAbove or i + 1 > count
      end
    end
    if held >= count then return false, isFirstLeft end
    if not isAbove then noteSlots(count) end
  end
  if not isFirstLeft and takeLock() then return true end
  if count == 1 then return false, isFirstLeft end
  local last = math.min(count, 1 + FIRST_SLOTS)
  local isTaken, isLeft = takeFrom(2, last, isFirstLeft)
  if not isTaken and count > last then isTaken, isLeft = takeFrom(last + 1, count, isLeft) end
  if isTaken and before < count then noteSlots(count) end
  return isTaken, isLeft
end

-- A run begins in the slot.
function slots.begin(itsGrant)
  call('HSET', runsKey(jobId), slot, itsGrant)
  call('PEXPIRE', runsKey(jobId), template.retention)
end

-- Whether a slot has the request's own run: it was granted before, and its reply was lost.
function slots.isRepeated()
  local runs = call('HGETALL', runsKey(jobId))
  for i = 2, #runs, 2 do
    if runIdOf(runs[i]) == runId then return true end
  end
  return false
end

-- Ends the request's own run, in whichever slot: it was granted before, and its reply was lost. Whether there was one.
function slots.endRepeated()
  local runs, isOwn = call('HGETALL', runsKey(jobId)), false
  for i = 1, #runs, 2 do
    if runIdOf(runs[i + 1]) == runId then
      if textAt(slotKey(jobId, runs[i])) == runId then call('DEL', slotKey(jobId, runs[i])) end
      call('HDEL', runsKey(jobId), runs[i])
      closed[#closed + 1] = memberOf(runs[i + 1], jobId)
      isOwn = true
    end
  end
  return isOwn
end

-- Whether a run that has another slot than the first, or had, has begun since a time.
function slots.haveBegunSince(time)
  local runs = call('HGETALL', runsKey(jobId))
  for i = 2, #runs, 2 do
    local id, _, startedAt = readGrant(runs[i])
    if id ~= runId and tonumber(startedAt) > time then return true end
  end
  return false
end

-- A run in another slot than the first that is to be taken over, and the attempt before: its slot is taken. Where
-- there is none, for how long those that may be left still have their locks.
function slots.takeOver()
  local runs = call('HGETALL', runsKey(jobId))
  local remaining = nil
  for i = 1, #runs, 2 do
    local attempt = unfinishedAttempt(runs[i + 1])
    local isOwn = runIdOf(runs[i + 1]) == runId
    if attempt or isOwn then
      local key = slotKey(jobId, runs[i])
      if call('SET', key, runId, 'PX', template.ttl, 'NX') or textAt(key) == runId then
        slot = runs[i]
        return runs[i + 1], attempt, isOwn
      end
      remaining = math.min(remaining or math.huge, call('PTTL', key))
    end
  end
  return nil, remaining
end

-- Whether a run goes on in another slot than the first.
function slots.areHeld()
  local count = knownSlots()
  if count == 1 then return false end
  local holders = holdersOf(2, count)
  for i = 1, #holders do
    if holders[i] then return true end
  end
  return false
end

-- The GRANTs of the runs that have not ended, each with whether it has its lock.
local function begunRuns()
  local found = {}
  if isKnown and endedAt == '0' then found[1] = { grant, holder and runIdOf(grant) == holder } end
  local runs = call('HGETALL', runsKey(jobId))
  for i = 1, #runs, 2 do
    found[#found + 1] = { runs[i + 1], textAt(slotKey(jobId, runs[i])) == runIdOf(runs[i + 1]) }
  end
  return found
end

-- Whether a run with a concurrency key goes on, or is to be taken over; then also whether it is that.
function slots.isKeyHeld(key)
  for _, run in ipairs(begunRuns()) do
    local itsGrant, isHeld = unpack(run)
    if match(itsGrant, ';K=([^;%s]+)') == key and runIdOf(itsGrant) ~= runId then
      if isHeld or unfinishedAttempt(itsGrant) then return true, not isHeld end
    end
  end
  return false
end

-- The run that a tick is to replace: the one before it did, while that goes on, else the oldest. It is told to the
-- replica that has it.
local function replace(before)
  local oldest, oldestStart
  for _, run in ipairs(begunRuns()) do
    local id, _, startedAt = readGrant(run[1])
    if run[2] then
      if id == before then return before end
      if not oldest or tonumber(startedAt) < oldestStart then oldest, oldestStart = id, tonumber(startedAt) end
    end
  end
  if not oldest then return NOBODY end
  call('HSET', handedKey, replacedField(oldest), '-1 ' .. runId .. ' ' .. nowText)
  call('PEXPIRE', handedKey, KEEP_HANDED)
  return oldest
end

-- A tick waits for a slot, in the place of the one that waited before. Which one that was, and which run it replaces.
function slots.queueTick(tickText)
  local member, before, cancelled, order = waitingTick(jobId)
  if member then call('ZREM', queueKey(jobId), member) end
  cancelled = template.replaces and replace(cancelled) or NOBODY
  enqueue(jobId, order or digits(micros), 't ' .. tickText .. ' ' .. cancelled .. ' ' .. runId)
  return before or '-1', cancelled
end

function slots.isTickWaiting()
  return waitingTick(jobId) ~= nil
end

function slots.dequeueOwnTick()
  return dequeueTickOf(jobId, runId)
end

-- What is to begin next of all that waits, and how it is to be taken away; nil for nothing.
function slots.nextWaiting()
  local members = call('ZRANGE', queueKey(jobId), 0, -1)
  local isAny = false
  for i = 1, #members do
    local id, key = match(members[i], '^r (%S+) (%S+)')
    isAny = isAny or id or not template.waits
    if not id then
      -- Who takes no ticks begins only what was asked for by hand.
      if not template.waits then return members[i], match(members[i], '^t (%-?%d+)'), nil, nil, isAny end
    elseif key == NOBODY or not slots.isKeyHeld(key) then
      return members[i], nil, id, key, isAny
    end
  end
  if #members == 0 then dequeue(jobId) end
  return nil, nil, nil, nil, isAny
end

function slots.dequeue(member)
  dequeue(jobId, member)
end

-- When a request was made, by its place.
function slots.requestedAt(member)
  return math.floor(tonumber(call('ZSCORE', queueKey(jobId), member)) / 1000)
end
