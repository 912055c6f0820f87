-- Ends many runs in one step: releases each lock whose value is still the run's id, as redlock's own release does,
-- records when the run ended, unless it is left for another replica to take over, and takes it out of those that are
-- open.
--
-- KEYS  fence
-- ARGV  for each run a line `ending:slotreport runId jobId`, with one of the ENDINGs; without `:slot` for the first slot;
--       `report` as in status.lua, or nothing where the outcome is not told; and a line with what the history keeps of it,
--       see history.lua, or an empty one;
--       how many runs the history keeps of a job, and for how long;
--       where the caller's other runs that stand open are to end as well, an id of its own, before which theirs were
--       made, and the ids of those that go on
-- Reply a string of one digit for each run given, one of the RELEASEs; where something waits for their jobs, followed by
--       those jobs, each after a line break; where the history could not be kept, by why, after a line break and the
--       character 127

--- @include "strings"
--- @include "clock"
--- @include "keys"
--- @include "record"
--- @include "slots"
--- @include "queue"
--- @include "replaced"
--- @include "close-strays"
--- @include "status"
--- @include "history"

local nowText = format('%.0f', now)
local count, endings, runIds, jobIds, keys = 0, {}, {}, {}, { KEYS[1] }
-- How they ended, what the history keeps of them, and what is answered.
local reports, entries, reply = {}, {}, {}
-- The slots of those that have another one than the first, and the runs that are known to be in these.
local slots, runsIn = {}, {}
for ending, slot, report, runId, jobId, entry in
  gmatch(ARGV[1], '(%d):?(%d*)(%S*) (%S+) ([^\n]+)\n([^\n]*)\n') do
  count = count + 1
  endings[count], runIds[count], jobIds[count] = ending, runId, jobId
  reports[count], entries[count] = report, entry
  if slot == '0' then slot = slotOfRun(jobId, runId) end
  if slot ~= '' and slot ~= '1' then slots[count] = slot end
end
local given = count

if ARGV[4] then
  -- What the ids of one process begin with, and the place of this one in their order.
  local function readRunId(id)
    local own, series, index = match(id, '^(%S+%-)(%d+)%-(%d+)$')
    if own then return own, tonumber(series) * SERIES + tonumber(index) end
  end

  -- Adds the open runs of this process that were asked for before `untilId` and do not go on.
  local function addForgotten(untilId, liveIds)
    local own, order = readRunId(untilId)
    local isLive = {}
    for runId in gmatch(liveIds, '%S+') do isLive[runId] = true end
    for i = 1, given do isLive[runIds[i]] = true end
    for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do
      if count == given + MAX_SWEPT then return end
      local runId, jobId, word = readMember(member)
      local itsOwn, itsOrder = readRunId(runId or '')
      -- What was asked for later may come first.
      if itsOwn == own and itsOrder < order and not isLive[runId] then
        count = count + 1
        endings[count], runIds[count], jobIds[count], reports[count] = ENDING_FINISHED, runId, jobId, ''
        local slot = slotIn(word)
        if slot ~= '1' then slots[count] = slot end
      end
    end
  end

  addForgotten(ARGV[4], ARGV[5])
end

for i = 1, count do
  keys[2 * i] = slots[i] and slotKey(jobIds[i], slots[i]) or base .. KEY_LOCK .. jobIds[i]
  keys[2 * i + 1] = base .. KEY_CLAIM .. jobIds[i]
end
keys[2 * count + 2] = openKey
keys[2 * count + 3] = base .. KEY_WAITS
-- Whether several of the runs may be of one job.
local isSlotted = next(slots) ~= nil
-- All in one command: a Cluster whose slot is moving refuses it as a whole.
local known = redis.call('MGET', unpack(keys))
for i, slot in pairs(slots) do runsIn[i] = runInSlot(jobIds[i], slot) end
local free, closed, strays = {}, {}, {}
-- The records that have been written by now, where several runs of a job may end in one call.
local written = {}
local anyWaits = known[2 * count + 3]

local function writeJob(i, tick, previous, claimedBy, ended, grant, fingerprint)
  local record = writeRecord(tick, previous, claimedBy, ended, grant, fingerprint)
  written[jobIds[i]] = record
  redis.call('SET', keys[2 * i + 1], record, 'KEEPTTL')
end

-- A fingerprint with the job's fields once the run's outcome is known. One that is told as a success for the first time is
-- none without the lock: what it is, the caller tells.
local function withOutcome(i, fingerprint)
  if reports[i] == '' or (sub(reports[i], 1, 1) == '=' and reply[i] ~= RELEASE_RELEASED) then return fingerprint end
  return withStatus(fingerprint, reports[i], nowText)
end

-- The outcome of a run that was recorded as abandoned is known: what was told of it since changes nothing.
local function restoreStatus(i)
  local record = redis.pcall('GET', keys[2 * i + 1])
  local before = match(known[2 * i + 1] or '', ';e=[^;%s]*') or ''
  if type(record) ~= 'string' or match(record, ';e=[^;%s]*') == before then return end
  redis.call('SET', keys[2 * i + 1], (string.gsub(record, ';e=[^;%s]*', before)), 'KEEPTTL')
end

-- Whether the outcome of a run that keeps its lock is told for the first time.
local function isToldNow(i, grant)
  return endings[i] == ENDING_KEEPS_LOCK and reports[i] ~= ''
    and redis.call('ZSCORE', openKey, memberOf(grant, jobIds[i]))
end

-- The GRANT of a run whose takeover never began, from before that. It stands under no request's id, so that this request,
-- when it is repeated, takes the run over as any other request would.
local function givenUp(grant)
  local _, fence, startedAt, replica, runTick, attempt = readGrant(grant)
  return tonumber(attempt) > 1 and writeGrant(GIVEN_UP, fence, startedAt, replica, runTick, attempt - 1)
end

-- Whether a run is over. What the request that it was for had brought is of no use then, unless the run is left: then the
-- request waits again, as nobody looks for a run by hand. Nor is it of use that the run was to be replaced.
local function isOver(i, grant)
  local ending, request = endings[i], find(grant, ';Q=', 1, true) and match(grant, ';Q=([^;%s]+)')
  if ending == ENDING_LEFT and request then
    local _, _, _, word, runTick = readGrant(grant)
    enqueueAgain(jobIds[i], runTick, word)
    anyWaits = true
    return true
  end
  if ending ~= ENDING_FINISHED and ending ~= ENDING_REPLACED and ending ~= ENDING_UNUSED then return false end
  if request then redis.call('HDEL', base .. KEY_REQUESTS .. jobIds[i], request) end
  if ending == ENDING_REPLACED then redis.call('HDEL', base .. KEY_HANDED, replacedField(runIds[i])) end
  return true
end

-- Whether a run that is over has begun. One that waits again has not.
local function isBegun(i)
  return endings[i] ~= ENDING_UNUSED and endings[i] ~= ENDING_LEFT
end

-- What is to become of a run that its record does not have any more.
local function strayOf(i)
  return endings[i] == ENDING_UNUSED and notBegun or true
end

-- Ends a run in another slot than the first. Whether it was still there.
local function endInSlot(i, record)
  local jobId, runId, grant = jobIds[i], runIds[i], runsIn[i]
  if not grant or runIdOf(grant) ~= runId then return false end
  closed[#closed + 1] = memberOf(grant, jobId)
  if isOver(i, grant) then
    redis.call('HDEL', runsKey(jobId), slots[i])
    local tick, previous, claimedBy, ended, itsGrant, fingerprint = readRecord(record or '')
    if tick then
      if claimedBy == runId then claimedBy = NOBODY end
      -- An interval from the last end is measured from that of any run.
      if ended ~= '0' then ended = nowText end
      fingerprint = isBegun(i) and withBegun(fingerprint, grant) or withoutRun(fingerprint)
      writeJob(i, tick, previous, claimedBy, ended, itsGrant, withOutcome(i, fingerprint))
    end
  elseif isToldNow(i, grant) then
    local tick, previous, claimedBy, ended, itsGrant, fingerprint = readRecord(record or '')
    if tick then writeJob(i, tick, previous, claimedBy, ended, itsGrant, withOutcome(i, fingerprint)) end
  elseif endings[i] == ENDING_UNBEGUN then
    local before = givenUp(grant)
    if before then redis.call('HSET', runsKey(jobId), slots[i], before) end
  end
  return true
end

for i = 1, count do
  local ending, runId, record = endings[i], runIds[i], known[2 * i + 1]
  if isSlotted then record = written[jobIds[i]] or record end
  reply[i] = RELEASE_LOST
  if known[2 * i] == runId and ending ~= ENDING_KEEPS_LOCK then
    free[#free + 1] = keys[2 * i]
    reply[i] = RELEASE_RELEASED
  end
  local tick, previous, claimedBy, grant, id, fingerprint
  if record and not slots[i] then tick, previous, claimedBy, grant, id, fingerprint = readOngoing(record) end
  if slots[i] then
    if not endInSlot(i, record) then strays[runId] = strayOf(i) end
  elseif id ~= runId then
    strays[runId] = strayOf(i)
  else
    closed[#closed + 1] = memberOf(grant, jobIds[i])
    if ending == ENDING_FINISHED and not isSlotted and not find(grant, ';Q=', 1, true) then
      -- Most often.
      if claimedBy == runId or claimedBy == UNCONFIRMED_MARK .. runId then claimedBy = NOBODY end
      redis.call(
        'SET', keys[2 * i + 1],
        writeRecord(tick, previous, claimedBy, nowText, grant, withOutcome(i, fingerprint)), 'KEEPTTL'
      )
    elseif isOver(i, grant) then
      -- It is over, and its request is not repeated.
      if claimedBy == runId or claimedBy == UNCONFIRMED_MARK .. runId then claimedBy = NOBODY end
      if not isBegun(i) then grant, fingerprint = unbegunGrant(grant), withoutRun(fingerprint) end
      writeJob(i, tick, previous, claimedBy, nowText, grant, withOutcome(i, fingerprint))
    elseif isToldNow(i, grant) then
      writeJob(i, tick, previous, claimedBy, '0', grant, withOutcome(i, fingerprint))
    elseif ending == ENDING_UNBEGUN then
      local before = givenUp(grant)
      if before then writeJob(i, tick, previous, claimedBy, '0', before, fingerprint) end
    end
  end
end
if #free > 0 then redis.call('DEL', unpack(free)) end

local closedCount = #closed == 0 and 0 or redis.call('ZREM', openKey, unpack(closed))
if closedCount < count then
  local marks = {}
  for i = 1, given do marks[i] = base .. KEY_ABANDONED .. runIds[i] end
  local abandoned = given > 0 and redis.call('MGET', unpack(marks)) or {}
  for i = 1, given do
    if abandoned[i] then
      reply[i] = RELEASE_ABANDONED
      if reports[i] ~= '' then restoreStatus(i) end
    end
    strays[runIds[i]] = strayOf(i)
  end
  local found = closeStrays(strays)
  for i = 1, given do
    -- It had lost its lock, so that the record is of another run by now.
    local record = reports[i] ~= '' and found[runIds[i]] and redis.pcall('GET', keys[2 * i + 1])
    local tick, previous, claimedBy, ended, grant, fingerprint
    if type(record) == 'string' then tick, previous, claimedBy, ended, grant, fingerprint = readRecord(record) end
    if tick then writeJob(i, tick, previous, claimedBy, ended, grant, withOutcome(i, fingerprint)) end
  end
end
for i = 1, given do
  -- Who has recorded it as abandoned has kept that.
  if entries[i] ~= '' and reply[i] ~= RELEASE_ABANDONED then
    keepRun(jobIds[i], entries[i], ARGV[2], tonumber(ARGV[3]))
  end
end
local text = table.concat(reply, '', 1, given)
if anyWaits and count > 0 then
  local places = {}
  for i = 1, count do places[i] = redis.call('ZSCORE', base .. KEY_WAITING, jobIds[i]) end
  for i = 1, count do
    if places[i] then text = text .. '\n' .. jobIds[i] end
  end
end
if historyError then text = text .. '\n\127' .. historyError end
return text
