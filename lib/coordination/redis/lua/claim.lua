-- Claims the due ticks of many jobs, and takes the locks of those that are to run, in one atomic step.
--
-- Each job has a record of its last claimed tick and its last granted run. A tick is claimed by writing it there, and
-- only if it is later than the one that is there; a date whose job has later ticks of another trigger is claimed beside
-- them. The job's lock is a Redlock: a key whose value is the holder's token (the run's id) and whose expiry is the
-- TTL, set only when it is not there. A claim whose votes are counted stays unconfirmed at first: nobody has run or
-- counted the tick yet.
--
-- A job may have several slots, with a lock each: it has a run in each at most. See slots.lua.
--
-- Fencing tokens come from one counter for all jobs, which is kept at or above Redis' own time in microseconds: they
-- still increase when Redis has lost the counter.
--
-- A call that is repeated under its id, as its reply was lost, is not executed again: it gets the reply it had.
--
-- All requests are one argument and all answers one reply, and the keys of the jobs are made here: a client spends more
-- on each value it sends or reads than Redis spends here. They lie in the slot of the keys that are given, and are all
-- read by one command before anything is written: a Cluster whose slot is moving refuses that command as a whole.
--
-- A block is a set of jobs with one trigger. Once a tick of all of them is taken, `taken:<tick>` has the block's name,
-- so that those who still wait need not ask for each. It answers no request: a claim may have been handed back since,
-- or be the request's own. A claim that is handed back takes the marks of its tick away.
--
-- KEYS  fence, paused, handed, the replica's last reply, and `taken:<tick>` where there are blocks
-- ARGV  maxClockSkew, the replica's word, the call's id or NOBODY, the version of the last change that the replica knows
--       of, then one line each for
--       the templates of requests: `kind scheduledTime coversUntil ttl retention after flags slots maxRuns key group
--       fingerprint`, with the FLAGs added up (FLAG_VOTE: it is confirmed later, and told who has claimed a tick), 0 for
--       no `maxRuns`, the concurrency key of a run by hand or NOBODY, the job's group or NOBODY, and for a run at the start of a replica the time
--       since which no run must have begun in the place of `coversUntil`;
--       the requests: `template runId jobId`, with the number of their template's line;
--       the blocks: `name size`, for the first `size` requests, then for those that follow; `name 0` for those that are
--       only asked about
-- Reply Redis' time in microseconds; a string of the answers, one after the other, as below;
--       `index:tick:fingerprint:replica` of the requests whose job was last claimed under another fingerprint; what was
--       handed back, as the hash has it; for each block that is only asked about a digit, 1 when it is taken; the version
--       of the last change where the replica knows another. These last two are left out of a reply that is repeated.
--
--       ANSWER_GRANTED fence covered scheduledTime
--       ANSWER_TAKEN_OVER fence scheduledTime attempt id fence startedAt replica lockedUntil
--                              (the last five as the record had them of the run that is taken over)
--       ANSWER_SLOT slot       followed by one of those two: the run has this slot, and not the first
--       ANSWER_SKIPPED         followed by one that grants: the tick is taken, and has no run
--       ANSWER_LAST            followed by one that grants or queues a run: it is the last that `maxRuns` admits
--       ANSWER_ENDED last isSettled
--                              (the job has had all of its runs; 1 where none of them goes on or waits)
--       ANSWER_CLAIMED_ELSEWHERE
--       ANSWER_CLAIMED_UP_TO last
--       ANSWER_CLAIMED_BY last claimedBy covered
--       ANSWER_REQUEST id key  followed by one of those: it is for this request by hand, which has waited
--       ANSWER_DROPPED tick
--       ANSWER_QUEUED covered displaced cancelled
--                              (the tick that waited before, or -1; the run that is to be replaced, or NOBODY)
--       ANSWER_OVERLAP flags covered
--       ANSWER_OVERLAP_BY flags covered holder
--       ANSWER_PAUSED covered
--       ANSWER_PAUSED_ELSEWHERE claimedBy covered
--       ANSWER_EARLY due
--       ANSWER_RUNNING remaining
--       ANSWER_UNREADABLE
--       ANSWER_STALE
--
--       `covered` is the tick up to which all is accounted for, -1 for none, followed by `/resumedAt` when that was
--       later.

--- @include "strings"
--- @include "clock"
--- @include "repeated-call"

local call, concat = redis.call, table.concat
local maxClockSkew, replica, callId = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local replyKey = KEYS[4]

if callId ~= NOBODY then
  local reply = replyBefore(replyKey, callId)
  if reply then return { micros, reply, '', {} } end
end

--- @include "keys"
--- @include "digits"
--- @include "text-at"
--- @include "record"
--- @include "since-note"
--- @include "pause"

local pausedKey, handedKey, takenKey = KEYS[2], KEYS[3], KEYS[5]

local templates = {}
local line = 0
for kind, scheduledTime, coversUntil, ttl, retention, after, flags, slots, maxRuns, key, group, fingerprint in
  gmatch(ARGV[5], '(%a) (%-?%d+) (%-?%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (%S+)') do
  flags = tonumber(flags)
  line = line + 1
  templates[tostring(line)] = {
    kind = kind, scheduledTime = tonumber(scheduledTime), coversUntil = tonumber(coversUntil), ttl = ttl,
    retention = retention, after = tonumber(after), slots = tonumber(slots), maxRuns = tonumber(maxRuns),
    fingerprint = fingerprint, group = group, isManual = kind == KIND_MANUAL or kind == KIND_START, key = key ~= NOBODY and key, queues = flags % (2 * FLAG_QUEUES) >= FLAG_QUEUES,
    replaces = flags % (2 * FLAG_REPLACES) >= FLAG_REPLACES,
    isVote = flags % (2 * FLAG_VOTE) >= FLAG_VOTE, isRerun = flags % (2 * FLAG_RERUN) >= FLAG_RERUN,
    startsRuns = flags % (2 * FLAG_STARTS_RUNS) >= FLAG_STARTS_RUNS,
    waits = flags % (2 * FLAG_WAITS) >= FLAG_WAITS,
    isPausedInitially = flags % (2 * FLAG_PAUSED_INITIALLY) >= FLAG_PAUSED_INITIALLY
  }
end

local count = 0
local templateOf, runIds, jobIds, keys = {}, {}, {}, { KEYS[1] }
for number, id, job in gmatch(ARGV[6], '(%d+) (%S+) ([^\n]+)') do
  count = count + 1
  templateOf[count], runIds[count], jobIds[count] = templates[number], id, job
  keys[count + 1] = base .. KEY_CLAIM .. job
end
for i = 1, count do keys[count + i + 1] = base .. KEY_LOCK .. jobIds[i] end
keys[2 * count + 2] = openKey
keys[2 * count + 3] = base .. KEY_VERSION
keys[2 * count + 4] = base .. KEY_STANDING

local blocks, sizes = {}, {}
for name, size in gmatch(ARGV[7], '(%S+) (%d+)') do
  blocks[#blocks + 1], sizes[#sizes + 1] = name, tonumber(size)
end
local marks = #blocks > 0 and call('SMISMEMBER', takenKey, unpack(blocks))

-- MGET has nothing of a key of another type: where it lies in the place of a lock, that is held by somebody else; where
-- it lies in the place of a record, that cannot be read.
local known = call('MGET', unpack(keys))
local pauses = call('HMGET', pausedKey, unpack(jobIds))
-- Pauses of groups and of all jobs, and ticks that are to be skipped: there are none but where somebody has made one.
local looksAt = known[2 * count + 4]
local standing, withStanding, skips
if looksAt and find(looksAt, STANDING_PAUSES, 1, true) then
--- @include "standing"
  standing, withStanding = readStanding(), pauseWith
end
if looksAt and find(looksAt, STANDING_SKIPS, 1, true) and count > 0 then
  local ticks = {}
  for i = 1, count do ticks[i] = format('%.0f', templateOf[i].scheduledTime) .. ' ' .. jobIds[i] end
  skips = call('HMGET', base .. KEY_SKIPS, unpack(ticks))
end
local version = known[2 * count + 3] or ''
-- Jobs that were overridden, or reset, since what the replica has heard of: it would claim a tick of another definition.
local changed
if version ~= ARGV[4] and looksAt and find(looksAt, STANDING_OVERRIDES, 1, true) and count > 0 then
  local scopes = {}
  for i = 1, count do scopes[i] = OVERRIDE_SCOPE .. jobIds[i] end
  changed = call('HMGET', base .. KEY_CHANGED, unpack(scopes))
end
for i = 1, standing and count or 0 do pauses[i] = pauses[i] or '' end
local handed = call('HGETALL', handedKey)
for i = 2, #handed, 2 do
  -- Nobody has come for it within that time: nobody has the job any more.
  if (tonumber(match(handed[i], '%d+$')) or 0) < now - KEEP_HANDED then call('HDEL', handedKey, handed[i - 1]) end
end

local fence = tonumber(known[1] or '0') or 0
local fenceText, isFenced = digits(fence), false
local answers, differing = {}, {}
local opened, closed = {}, {}
local nowText = digits(now)

-- Each tick is read once, as it is written once.
local readNumbers = {}
local function readNumber(text)
  local number = readNumbers[text]
  if not number then
    number = tonumber(text)
    readNumbers[text] = number
  end
  return number
end

-- The job that is being answered: its request,
local template, runId, jobId, claimKey, lockKey, holder
-- what its record says, with the fields of the fingerprint's word apart, and of these the one of status.lua,
local isKnown, tick, previous, claimedBy, endedAt, grant, claimedAs, fields, status
-- the request that has claimed the last tick, whether that is not confirmed, and how its run stands in `open` if so,
local claimant, isUnconfirmed, unbegun
-- what is known of its pause,
local isPaused, resumedAt
-- and the slot that its run has, as text.
local slot

-- Whether the job's run is this one, and goes on.
local function isOngoing(id)
  return endedAt == '0' and runIdOf(grant) == id
end

-- The record with another claim.
local function recordOf(newTick, newPrevious, by, fingerprint)
  return writeRecord(digits(newTick), digits(newPrevious), by, endedAt, grant, fingerprint)
end

-- The record with another run.
local function recordOfRun()
  return recordOf(tick, previous, claimedBy, claimedAs .. fields .. status)
end

local function isOtherTrigger()
  return claimedAs ~= template.fingerprint and triggerOf(claimedAs) ~= triggerOf(template.fingerprint)
end

-- A date has one tick: `dates:<id>` remembers which were claimed, where the job has ticks of other triggers as well.
local function isDate(fingerprint)
  return sub(fingerprint, 1, 1) == DATE_MARK
end

-- Takes the lock. One that is the run's own already, as its first reply was lost, gets its whole TTL again.
local function takeLock()
  return (not holder or holder == runId) and call('SET', lockKey, runId, 'PX', template.ttl, holder and 'XX' or 'NX')
end

-- Whether a run whose replica died is to be taken over before there is another one.
local function isRunLeft(unfinishedId)
  return unfinishedId ~= runId and call('EXISTS', lockKey) == 0
end

-- Reads a job's pause, with those of its group and of all jobs.
local function readPause(noted)
  if noted == '' then noted = false end
  local paused = pauseByCode(noted, template.isPausedInitially, now)
  if paused ~= noted then call('HSET', pausedKey, jobId, paused) end
  resumedAt, isPaused = -1, paused and true or false
  if paused and sub(paused, 1, 1) == RESUMED_MARK then
    resumedAt, isPaused = tonumber(match(paused, '%d+')) or -1, false
  end
  if standing then isPaused, resumedAt = withStanding(standing, template.group, isPaused, resumedAt) end
  -- A run by hand begins all the same.
  isPaused = isPaused and template.kind ~= KIND_MANUAL
end

--- @include "replaced"

-- Whether a run is to be replaced, so that nobody is to take it over.
local function isReplaced(id)
  for i = 1, #handed, 2 do
    if handed[i] == replacedField(id) then return true end
  end
  return false
end

-- The slots of jobs that have more than one, or had. Made when they are first needed: few jobs have them.
local function makeSlots()
--- @include "slots"
--- @include "queue"
--- @include "claim-slots"

  slots.word = writeSlot
  return slots
end

local madeSlots
local function slotsOf()
  madeSlots = madeSlots or makeSlots()
  return madeSlots
end

-- What answers a request. Its parts are made in one function, as Lua looks anew for each variable of an outer function
-- that a function uses: here it finds all of them once.
local function makeAnswer()
  -- How many runs of the job have begun, or will as they wait for a slot: as far as they are counted, for `maxRuns`.
  local function runCount()
    return tonumber(match(fields, ';c=(%d+)')) or 0
  end

  local function countRun(change)
    if template.maxRuns == 0 and (fields == '' or not find(fields, ';c=', 1, true)) then return end
    fields = string.gsub(fields, ';c=%d+', '') .. ';c=' .. math.max(0, runCount() + change)
  end

  -- Whether the job has had all of its runs.
  local function hasEnded()
    return template.maxRuns > 0 and runCount() >= template.maxRuns
  end

  -- Reads the record; false for what cannot be read. That may be of a tick that ran, and must not stop the other jobs.
  local function readJob(index)
    local text = known[index + 1]
    local t, p, by, e, g, as
    if text then t, p, by, e, g, as = readRecord(text) end
    fields, status = '', ''
    if t then
      local at = find(as, ';e=', 1, true)
      if at then
        status = match(as, '^[^;]*', at + 1)
        as, status = sub(as, 1, at - 1) .. sub(as, at + 1 + #status), ';' .. status
      end
      isKnown, tick, previous, claimedBy, endedAt, grant, claimedAs = true, readNumber(t), readNumber(p), by, e, g, as
      if as ~= template.fingerprint then claimedAs, fields = splitFields(as) end
    else
      if text or call('EXISTS', claimKey) == 1 then return false end
      isKnown, tick, previous, claimedBy, endedAt = false, -1, -1, NOBODY, '0'
      grant, claimedAs = noGrant(), template.fingerprint
    end
    isUnconfirmed, unbegun, claimant = false, nil, claimedBy
    if sub(claimedBy, 1, 1) == UNCONFIRMED_MARK then
      isUnconfirmed, claimant = true, sub(claimedBy, 2)
      if claimant ~= runId and isOngoing(claimant) then
        -- The run of a claim that was never confirmed has not begun.
        unbegun, endedAt = memberOf(grant, jobId), digits(tick)
      end
    end
    return true
  end

  local function noteDiffering(index)
    local _, _, _, itsReplica = readGrant(grant)
    differing[#differing + 1] = (index - 1) .. ':' .. digits(tick) .. ':' .. claimedAs .. ':' .. itsReplica
  end

  -- The id and the attempt of a run that is to be taken over once its lock is free; nil where there is none.
  local function readUnfinished()
    if endedAt ~= '0' then return nil end
    local id, _, _, _, _, attempt = readGrant(grant)
    attempt = tonumber(attempt)
    if id ~= NOBODY and attempt > 0 and attempt < MAX_ATTEMPTS and not isReplaced(id) then return id, attempt end
  end

  local function noteDate(fingerprint, by)
    local key = base .. KEY_DATES .. jobId
    call('HSET', key, triggerOf(fingerprint), by)
    call('PEXPIRE', key, KEEP_DATES)
  end

  -- Where two triggers are there at a time the record is of one of them: the other is accounted for up to its last
  -- tick.
  local function noteAccounted(fingerprint, upTo)
    local key = base .. KEY_SINCE .. jobId
    local at, trigger = readSince(textAt(key))
    if trigger == triggerOf(fingerprint) and tonumber(at) < upTo then
      call('SET', key, writeSince(digits(upTo), trigger), 'KEEPTTL')
    end
  end

  -- The tick up to which all is accounted for. Ticks of another trigger say nothing of this one's.
  local function coveredBy(before, resumed)
    if isOtherTrigger() then before = -1 end
    return resumed > before and digits(before) .. '/' .. digits(resumed) or digits(before)
  end

  local function hasSlots()
    return template.slots > 1 or (fields ~= '' and find(fields, ';n=', 1, true))
  end

  -- Begins a run whose slot is taken.
  local function beginRun(word, runTick, attempt)
    fence = math.max(fence + 1, micros)
    fenceText = digits(fence)
    isFenced = true
    opened[#opened + 1] = digits(now + template.ttl)
    if slot == '1' then
      if template.startsRuns and runIdOf(grant) ~= runId then fields = withBegun(fields, grant) end
      endedAt, grant = '0', writeGrant(runId, fenceText, nowText, word, runTick, attempt)
      opened[#opened + 1] = memberOf(grant, jobId)
    else
      local slots = slotsOf()
      local itsGrant = writeGrant(runId, fenceText, nowText, slots.word(word, slot), runTick, attempt)
      slots.begin(itsGrant)
      opened[#opened + 1] = memberOf(itsGrant, jobId)
    end
  end

  -- Takes back what the request was given before, as its reply was lost. Its run in the first slot stays: it is granted
  -- anew, or ended by `endRepeatedRun`.
  local function takeBack(isRepeated)
    local isOwn = isOngoing(runId)
    if isRepeated and template.queues and slotsOf().dequeueOwnTick() then isOwn = true end
    if hasSlots() and slotsOf().endRepeated() then isOwn = true end
    if isOwn then countRun(-1) end
  end

  -- Ends the request's own run: it was granted before, and its reply was lost.
  local function endRepeatedRun()
    if not isOngoing(runId) then return end
    closed[#closed + 1] = memberOf(grant, jobId)
    endedAt = nowText
  end

  -- Takes over the run of a replica that died, in another slot than the first; where there is none, nil, and for how long
  -- those that may be left still have their locks.
  local function takeOverSlot()
    local slots = slotsOf()
    local from, attempt, isOwn = slots.takeOver()
    if not from then return nil, attempt end
    local fromId, fromFence, fromStart, fromReplica, runTick, taken = readGrant(from)
    local lockedUntil = call('ZSCORE', openKey, memberOf(from, jobId)) or nowText
    if isOwn then
      fence = tonumber(fromFence)
      fenceText = fromFence
    else
      taken = attempt + 1
      beginRun(replica .. inheritedFields(fromReplica), runTick, taken)
      if claimedBy == fromId then
        claimedBy = NOBODY
        call('SET', claimKey, recordOfRun(), 'KEEPTTL')
      end
    end
    return concat({
      ANSWER_SLOT, slot, ANSWER_TAKEN_OVER, fenceText, runTick, taken, fromId, fromFence, fromStart, fromReplica,
      lockedUntil
    }, ' ')
  end

  -- Takes over the run of a replica that died.
  local function takeOver()
    local id, attempt = readUnfinished()
    local isOwn = isOngoing(runId)
    local isSlotted = hasSlots()
    if not (id or isOwn or isSlotted) then
      return template.isVote and ANSWER_CLAIMED_BY .. ' -1 - -1' or ANSWER_CLAIMED_ELSEWHERE
    end
    if isPaused then return ANSWER_PAUSED_ELSEWHERE .. ' - -1' end
    if not (id or isOwn) or not takeLock() then
      local taken, remaining
      if isSlotted then taken, remaining = takeOverSlot() end
      if taken then return taken end
      if id then remaining = math.min(remaining or math.huge, call('PTTL', lockKey)) end
      return remaining and ANSWER_RUNNING .. ' ' .. digits(remaining) or ANSWER_CLAIMED_ELSEWHERE
    end
    local fromId, fromFence, fromStart, fromReplica, runTick, taken = readGrant(grant)
    local lockedUntil = call('ZSCORE', openKey, memberOf(grant, jobId)) or nowText
    if not isOwn then
      taken = attempt + 1
      beginRun(replica .. inheritedFields(fromReplica), runTick, taken)
      -- Should its holder come back, its claim is over.
      if claimedBy == id then claimedBy = NOBODY end
      call('SET', claimKey, recordOfRun(), 'KEEPTTL')
    end
    return concat({
      ANSWER_TAKEN_OVER, fenceText, runTick, taken, fromId, fromFence, fromStart, fromReplica, lockedUntil
    }, ' ')
  end

  -- When a tick is due that is measured from the end of the last run, which only this script knows: nil before that,
  -- and when to ask again.
  local function dueAfterCompletion(isRepeated)
    if not isKnown then
      -- The first replica to ask sets the time from which the interval is measured.
      isKnown, endedAt, grant = true, nowText, noGrant()
      call('SET', claimKey, recordOfRun(), 'PX', template.retention)
    end
    if isRepeated and tick >= 0 then return tick end
    if call('EXISTS', lockKey) == 1 or (hasSlots() and slotsOf().areHeld()) then return nil, now + template.after end
    local due = math.max(math.max(tonumber(endedAt), tick) + template.after, template.scheduledTime)
    if now < due then return nil, due end
    return due
  end

  -- Whether it is a date that is claimed beside later ticks of another trigger, and nobody else has it.
  local function isClaimedAside()
    if template.isManual or not isDate(template.fingerprint) then return false end
    if not isOtherTrigger() or (isUnconfirmed and claimant ~= runId) then return false end
    local by = call('HGET', base .. KEY_DATES .. jobId, triggerOf(template.fingerprint))
    return not by or by == runId
  end

  -- The tick, or a later one, was claimed by another request.
  local function claimedElsewhere(scheduledTime)
    if isOtherTrigger() then noteAccounted(template.fingerprint, scheduledTime) end
    if isPaused then
      local by = template.isVote and claimant or NOBODY
      return ANSWER_PAUSED_ELSEWHERE .. ' ' .. by .. ' ' .. coveredBy(previous, -1)
    elseif template.isVote then
      local last = template.waits and digits(tick) or '-1'
      return ANSWER_CLAIMED_BY .. ' ' .. last .. ' ' .. claimant .. ' ' .. coveredBy(previous, -1)
    end
    return template.waits and ANSWER_CLAIMED_UP_TO .. ' ' .. digits(tick) or ANSWER_CLAIMED_ELSEWHERE
  end

  -- For how long the record is kept: where runs are counted, never for less than before.
  local function keptFor()
    if fields == '' or not find(fields, ';c=', 1, true) then return template.retention end
    return digits(math.max(tonumber(template.retention), call('PTTL', claimKey)))
  end

  -- Writes that the tick is claimed.
  local function writeClaim(coversUntil, before, isAside)
    local by = template.isVote and claimedBy ~= runId and UNCONFIRMED_MARK .. runId or runId
    if isAside then
      -- The ticks of the other trigger stay claimed.
      noteDate(template.fingerprint, runId)
      call('SET', claimKey, recordOf(tick, tick, by, claimedAs .. fields .. status), 'PX', keptFor())
    else
      local isOther = isOtherTrigger()
      if isOther and tick >= 0 then
        if isDate(claimedAs) then noteDate(claimedAs, NOBODY) end
        noteAccounted(claimedAs, tick)
      end
      if (isOther or tick < 0) and template.after == 0 and not isDate(template.fingerprint) then
        noteFirstClaim(jobId, triggerOf(template.fingerprint), template.retention)
      end
      call('SET', claimKey, recordOf(coversUntil, before, by, template.fingerprint .. fields .. status), 'PX',
        fields == '' and template.retention or keptFor())
    end
    if unbegun then closed[#closed + 1] = unbegun end
    if #handed > 0 and call('HDEL', handedKey, jobId) == 1 then handed = call('HGETALL', handedKey) end
  end

  -- Begins the run of a tick, unless no slot is free; then also whether there is a run that is to be taken over.
  local function beginTick(scheduledTime, isRepeated)
    local left = template.isRerun and readUnfinished()
    left = left and isRunLeft(left)
    local isTaken, isLeft = false, left
    if template.key then
      local isKeyHeld, isKeyLeft = slotsOf().isKeyHeld(template.key)
      if isKeyHeld then return false, isKeyLeft end
    end
    if (template.slots > 1 or fields ~= '') and hasSlots() then
      isTaken, isLeft = slotsOf().take(left)
    elseif not left then
      isTaken = takeLock()
    end
    if not isTaken then return false, isLeft end
    if (isRepeated or template.isManual) and slot == '1' and isOngoing(runId) then
      closed[#closed + 1] = memberOf(grant, jobId)
    end
    local word = template.key and replica .. ';K=' .. template.key or replica
    beginRun(word, digits(scheduledTime), template.isRerun and template.kind ~= KIND_MANUAL and '1' or '0')
    if template.maxRuns > 0 or fields ~= '' then countRun(1) end
    return true
  end

  -- Writes a run that knows nothing of the ticks, nor for how long the last one must be remembered. But an interval from
  -- the last end is measured from the end of any run.
  local function writeRunByHand()
    if isKnown and template.after == 0 and template.maxRuns == 0 then
      call('SET', claimKey, recordOfRun(), 'KEEPTTL')
    else
      call('SET', claimKey, recordOfRun(), 'PX', keptFor())
    end
  end

  -- Puts a tick into the queue of what waits for a slot. Its run is sure to begin: it is counted now.
  local function queueTick(scheduledTime, covered)
    local displaced, cancelled = slotsOf().queueTick(digits(scheduledTime))
    if displaced == '-1' then countRun(1) end
    return ANSWER_QUEUED .. ' ' .. covered .. ' ' .. displaced .. ' ' .. cancelled
  end

  -- An answer that gives a run, marked where that is the last.
  local function markLast(text)
    return hasEnded() and ANSWER_LAST .. ' ' .. text or text
  end

  -- Claims the tick, with a run where there can be one. Whether the tick is taken by now, and the answer.
  local function claimTick(index, scheduledTime, coversUntil, isRepeated, isAside)
    local before = (isRepeated or isUnconfirmed) and previous or tick
    local covered = coveredBy(before, resumedAt)
    local answer, flags = ANSWER_GRANTED, 0
    local isSkipped = skips and skips[index] and not (isRepeated or template.isManual)
    if (isRepeated or template.isManual) and not isPaused then takeBack(isRepeated) end
    if isPaused then
      answer = ANSWER_PAUSED
    elseif template.kind == KIND_MISS or isSkipped then
      -- Granted before, as its reply was lost, and too late to run now.
      if holder == runId then call('DEL', lockKey) end
      endRepeatedRun()
    else
      local isBegun, isLeft = beginTick(scheduledTime, isRepeated)
      if not isBegun then answer, flags = ANSWER_OVERLAP, isLeft and OVERLAP_LEFT or 0 end
    end

    local isTaken = not template.isManual and not (answer == ANSWER_OVERLAP and template.waits)
    local queued = template.queues and answer == ANSWER_OVERLAP and not template.isManual
      and queueTick(scheduledTime, covered)
    if isTaken then
      writeClaim(coversUntil, before, isAside)
    elseif template.isManual and answer == ANSWER_GRANTED then
      writeRunByHand()
    end

    if answer == ANSWER_GRANTED then
      local granted = ANSWER_GRANTED .. ' ' .. fenceText .. ' ' .. covered .. ' ' .. digits(scheduledTime)
      if slot ~= '1' then granted = ANSWER_SLOT .. ' ' .. slot .. ' ' .. granted end
      if isSkipped then return isTaken, ANSWER_SKIPPED .. ' ' .. granted end
      return isTaken, template.maxRuns > 0 and markLast(granted) or granted
    elseif answer == ANSWER_PAUSED then
      return false, ANSWER_PAUSED .. ' ' .. covered
    elseif queued then
      return true, markLast(queued)
    end
    if isTaken then flags = flags + OVERLAP_TAKEN end
    if not template.isVote then return isTaken, ANSWER_OVERLAP .. ' ' .. flags .. ' ' .. covered end
    local by = match(holder or '', '^%S+$') or NOBODY
    return false, ANSWER_OVERLAP_BY .. ' ' .. flags .. ' ' .. covered .. ' ' .. by
  end

  -- Begins what has waited longest for a slot.
  local function beginWaiting()
    local slots = slotsOf()
    local member, waitingTick, id, key, isAny = slots.nextWaiting()
    if not member then return isAny and ANSWER_OVERLAP .. ' 0 -1' or ANSWER_CLAIMED_ELSEWHERE end
    -- Should the reply of the request that has claimed it be lost, its claim is over.
    if not id and claimedBy ~= NOBODY and claimedBy == match(member, '(%S+)$') then
      claimedBy = SETTLED_MARK .. claimedBy
    end
    if isPaused and not id then
      slots.dequeue(member)
      countRun(-1)
      if isKnown then call('SET', claimKey, recordOfRun(), 'KEEPTTL') end
      return ANSWER_DROPPED .. ' ' .. waitingTick
    end
    local left = template.isRerun and readUnfinished()
    local isTaken, isLeft = slots.take(left and isRunLeft(left))
    if not isTaken then return ANSWER_OVERLAP .. ' ' .. (isLeft and OVERLAP_LEFT or 0) .. ' -1' end
    local runTick = waitingTick or digits(slots.requestedAt(member))
    local word = replica
    if id then word = word .. (key ~= NOBODY and ';K=' .. key or '') .. ';Q=' .. id end
    slots.dequeue(member)
    beginRun(word, runTick, template.isRerun and '1' or '0')
    if id then countRun(1) end
    writeRunByHand()
    local granted = ANSWER_GRANTED .. ' ' .. fenceText .. ' -1 ' .. runTick
    if slot ~= '1' then granted = ANSWER_SLOT .. ' ' .. slot .. ' ' .. granted end
    return markLast(id and ANSWER_REQUEST .. ' ' .. id .. ' ' .. key .. ' ' .. granted or granted)
  end

  -- Whether a run of the job has begun since a time, other than the request's own.
  local function hasBegunSince(time)
    local id, _, startedAt = readGrant(grant)
    if id ~= runId and tonumber(startedAt) > time then return true end
    if (tonumber(match(fields, ';b=(%d+)')) or 0) > time then return true end
    return hasSlots() and slotsOf().haveBegunSince(time)
  end

  -- Whether a run at the start of a replica is not to be; then the answer.
  local function refuseAtStart()
    -- Between requests whose votes are split it is decided as between runs by hand.
    if not isPaused and template.slots == 1 and holder and holder ~= runId then return nil end
    if not (isPaused or hasBegunSince(template.coversUntil)) then return nil end
    return template.isVote and ANSWER_CLAIMED_BY .. ' -1 ' .. runIdOf(grant) .. ' -1' or ANSWER_CLAIMED_ELSEWHERE
  end

  -- Answers a request. Whether all that is asked for is taken, as far as a block goes.
  local function answer(i)
    template, runId, jobId = templateOf[i], runIds[i], jobIds[i]
    claimKey, lockKey, holder, slot = keys[i + 1], keys[count + i + 1], known[count + i + 1], '1'
    if not readJob(i) then
      answers[i] = ANSWER_UNREADABLE
      return false
    end
    if claimedAs ~= template.fingerprint then noteDiffering(i) end
    local noted = pauses[i]
    if noted or template.isPausedInitially then readPause(noted) else resumedAt, isPaused = -1, false end
    if template.kind == KIND_WAITING then
      answers[i] = beginWaiting()
      return false
    end
    if template.kind == KIND_RECOVER then
      answers[i] = takeOver()
      return answers[i] == ANSWER_CLAIMED_ELSEWHERE
    end

    local isRepeated = claimant == runId
    if template.maxRuns > 0 and template.kind ~= KIND_MANUAL and hasEnded()
      and not (isRepeated or isOngoing(runId) or (hasSlots() and slotsOf().isRepeated())) then
      local isUnsettled = holder or (hasSlots() and slotsOf().areHeld())
        or (template.queues and slotsOf().isTickWaiting())
      answers[i] = ANSWER_ENDED .. ' ' .. digits(tick) .. ' ' .. (isUnsettled and '0' or '1')
      return false
    end
    if template.kind == KIND_START then
      answers[i] = refuseAtStart()
      if answers[i] then return false end
    end
    if claimedBy == SETTLED_MARK .. runId then
      -- It has come to wait, as the reply said that was lost, and does so no more: what became of it, others tell.
      answers[i] = markLast(ANSWER_QUEUED .. ' ' .. coveredBy(previous, resumedAt) .. ' -1 ' .. NOBODY)
      return true
    end
    local isManual, scheduledTime, coversUntil = template.isManual, template.scheduledTime, template.coversUntil
    local early = nil
    if template.after > 0 and not isManual then
      scheduledTime, early = dueAfterCompletion(isRepeated)
      coversUntil = scheduledTime
    end
    if scheduledTime and not isManual and scheduledTime > now + maxClockSkew then
      scheduledTime, early = nil, scheduledTime
    end
    if not scheduledTime then
      answers[i] = ANSWER_EARLY .. ' ' .. digits(early)
      return false
    end
    local isAside = scheduledTime < tick and isClaimedAside()
    if not (isManual or isRepeated or scheduledTime > tick or isAside) then
      answers[i] = claimedElsewhere(scheduledTime)
      return answers[i] == ANSWER_CLAIMED_ELSEWHERE
    end
    local isTaken, text = claimTick(i, scheduledTime, coversUntil, isRepeated, isAside)
    answers[i] = text
    return isTaken
  end

  return answer
end

local answer = makeAnswer()

-- Answers a request, as `answer` does, unless it was made under an override that is none any more.
local function answerFresh(i)
  local change = changed and changed[i]
  -- One that has its claim already, as its reply was lost or its votes were split, is to learn so.
  local isMine = change and known[i + 1] and find(known[i + 1], runIds[i], 1, true)
  if change and not isMine and (templateOf[i].kind == KIND_TICK or templateOf[i].kind == KIND_MISS)
    and tonumber(match(change, '^{"version":(%d+)') or 0) > (tonumber(ARGV[4]) or 0) then
    answers[i] = ANSWER_STALE
    return false
  end
  return answer(i)
end

local answered, finished, asked = 0, {}, {}
for b = 1, #blocks do
  if sizes[b] == 0 then asked[#asked + 1] = marks[b] end
  local isWhole = sizes[b] > 0
  for i = answered + 1, answered + sizes[b] do
    local isTaken = answerFresh(i)
    isWhole = isWhole and isTaken
  end
  answered = answered + sizes[b]
  if isWhole then finished[#finished + 1] = blocks[b] end
end
for i = answered + 1, count do answerFresh(i) end

if #finished > 0 then
  call('SADD', takenKey, unpack(finished))
  call('PEXPIRE', takenKey, KEEP_TAKEN)
end
if isFenced then call('SET', KEYS[1], fenceText) end
if #closed > 0 then call('ZREM', openKey, unpack(closed)) end
if #opened > 0 then call('ZADD', openKey, unpack(opened)) end
local reply = concat(answers, ' ')
if callId ~= NOBODY then rememberReply(replyKey, callId, reply) end
return { micros, reply, concat(differing, ' '), handed, concat(asked), version ~= ARGV[4] and version or nil }
