-- Makes a change for the whole fleet: its effect, and the entry in the feed by which every replica hears of it, are one
-- step. A change that is asked for again under its id is not made twice: it gets the reply it had.
--
-- KEYS  fence
-- ARGV  the change's id; when it is made, `''` for now, NOBODY where it is only looked whether what is expected is in
--       force; its kind; its scope, `''` for a command; its body, a JSON object; the version that is expected, `''` for
--       any, NOBODY for none; the job or the run that it is about, `''` for a run that is cancelled already; the slot of which
--       a lock is to be freed, `''` for all, or the tick that is to be skipped
-- Reply CHANGE_MADE and the entry, of a look with a time that is later than that of the last change of that scope; CHANGE_UNKNOWN for a run that is not open; CHANGE_PASSED for a
--       tick that has passed or was claimed; or CHANGE_CONFLICT and the entry of the last change of that scope, or `''`

--- @include "strings"
--- @include "clock"
--- @include "keys"
--- @include "text-at"
--- @include "pause"
--- @include "record"
--- @include "slots"

local id, madeAt, kind, scope, body, expected, about, slot = unpack(ARGV)
local versionKey, feedKey, changedKey = base .. KEY_VERSION, base .. KEY_CHANGES, base .. KEY_CHANGED
local replyKey = base .. KEY_CHANGE .. id
local skipsKey, overridesKey, standingKey = base .. KEY_SKIPS, base .. KEY_OVERRIDES, base .. KEY_STANDING
-- Before anything is written: a Cluster whose slot is moving may refuse it,
redis.call('EXISTS', KEYS[1], versionKey, feedKey, changedKey, replyKey, base .. KEY_PAUSED, base .. KEY_PAUSES,
  skipsKey, overridesKey, standingKey)
-- a key may be of another type,
for _, key in ipairs({ changedKey, base .. KEY_PAUSED, base .. KEY_PAUSES, skipsKey, overridesKey }) do
  redis.call('HGET', key, '-')
end

local made = textAt(replyKey)
if made ~= '' then return { CHANGE_MADE, made } end

local isMaster = madeAt ~= '' and madeAt ~= NOBODY
local at = isMaster and tonumber(madeAt) or now
local isOfJob = sub(scope, 1, #JOB_SCOPE) == JOB_SCOPE
local pausesKey = base .. (isOfJob and KEY_PAUSED or KEY_PAUSES)
local field = isOfJob and sub(scope, #JOB_SCOPE + 1) or scope
local isOverride = kind == 'override' or kind == 'reset'

-- The version of what is in force; NOBODY where nothing is.
local function versionInForce()
  if isOverride then
    return match(redis.call('HGET', overridesKey, about) or '', '"id":"([^"]+)","kind":"override"') or NOBODY
  end
  local noted = pauseUntil(redis.call('HGET', pausesKey, field), now)
  if not noted or sub(noted, 1, 1) == RESUMED_MARK then return NOBODY end
  if noted == PAUSED_BY_CODE then return VERSION_BY_CODE end
  -- A build that knew no versions says when it was.
  return match(noted, '"id":"([^"]+)"') or match(noted, '"at":(%d+)') or NOBODY
end

local last = scope ~= '' and redis.call('HGET', changedKey, scope) or ''
local lastAt, lastId = match(last, '"at":(%d+),"id":"([^"]+)"')
lastAt = tonumber(lastAt)
if madeAt == NOBODY then at = (lastAt or 0) + 1 end
if expected ~= '' and versionInForce() ~= expected then return { CHANGE_CONFLICT, last } end

-- The job of a run that has begun and not ended; nil for any other.
local function jobOfRun(runId)
  for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do
    local itsId, jobId = readMember(member)
    if itsId == runId then return jobId end
  end
end

-- A change with one more member. The last of two of one name counts.
local function withMember(json, member)
  return sub(json, 1, -2) .. ',' .. member .. '}'
end

-- The locks of a job that are held, or that of one slot, and who holds them, as JSON.
local function heldLocks(jobId, onlySlot)
  local slots, locks, runs = { '1' }, {}, {}
  local others = redis.call('HGETALL', runsKey(jobId))
  for i = 1, #others, 2 do slots[#slots + 1] = others[i] end
  for _, each in ipairs(slots) do
    local lockKey = lockOfSlot(jobId, each)
    local holder = textAt(lockKey)
    if holder ~= '' and (onlySlot == '' or onlySlot == each) then
      locks[#locks + 1] = lockKey
      runs[#runs + 1] = '{"slot":' .. each .. ',"runId":"' .. match(holder, '^[%w-]*') .. '"}'
    end
  end
  return locks, '[' .. table.concat(runs, ',') .. ']'
end

local locks = {}
if kind == 'skip' then
  local claimed = readRecord(textAt(base .. KEY_CLAIM .. about))
  if tonumber(slot) <= now or tonumber(claimed or '-1') >= tonumber(slot) then return { CHANGE_PASSED, '' } end
elseif kind == 'cancel' and about ~= '' then
  local jobId = jobOfRun(about)
  if not jobId then return { CHANGE_UNKNOWN, '' } end
  -- Neither control characters nor halves of characters are in an id.
  body = withMember(body, '"jobId":"' .. string.gsub(jobId, '["\\]', '\\%0') .. '"')
elseif kind == 'release' then
  local runs
  locks, runs = heldLocks(about, slot)
  body = withMember(body, '"runs":' .. runs)
end

-- By its time, as well as later than the last: where the store has lost changes, no later one has the version of a lost one.
local before = tonumber(textAt(versionKey)) or 0
local version = math.max(before + 1, now)
local entry = format('{"version":%.0f,"after":%.0f,"at":%.0f,', version, before, at) .. sub(body, 2)
if madeAt == NOBODY or (kind == 'release' and #locks == 0) then return { CHANGE_MADE, entry } end

-- One of several masters may hear of changes in another order than the others: the later one counts on each.
if isMaster and lastAt and (lastAt > at or (lastAt == at and lastId > id)) then return { CHANGE_MADE, entry } end

-- and this user may not be allowed to do all of it.
local probeKey = base .. KEY_PROBE
redis.call('SET', probeKey, '1', 'PX', 1)
redis.call('HSET', probeKey .. ':change', 'a', '1')
redis.call('HDEL', probeKey .. ':change', 'a')
local streamId = format('%.0f-0', version)
local added = redis.pcall('XADD', feedKey, 'MAXLEN', KEEP_CHANGES, streamId, 'c', entry)
if type(added) == 'table' and added.err then
  -- What is there is of another time, as the version was lost alone.
  redis.call('DEL', feedKey)
  redis.call('XADD', feedKey, 'MAXLEN', KEEP_CHANGES, streamId, 'c', entry)
end
redis.call('SET', versionKey, format('%.0f', version))
-- Nobody asks for these again under their ids, and there may be thousands of them.
if kind ~= 'request' and kind ~= 'trigger' then redis.call('SET', replyKey, entry, 'PX', KEEP_CHANGE) end
if scope ~= '' then redis.call('HSET', changedKey, scope, entry) end

if #locks > 0 then
  redis.call('DEL', unpack(locks))
elseif kind == 'skip' then
  redis.call('HSET', skipsKey, slot .. ' ' .. about, entry)
elseif isOverride then
  -- Also a reset, so that one of several masters that has missed it does not bring the override back.
  redis.call('HSET', overridesKey, about, entry)
elseif kind == 'pause' then
  redis.call('HSET', pausesKey, field, entry)
elseif kind == 'resume' then
  -- Remembered, so that a definition with `paused: true` does not pause the job again at the next deploy, and that
  -- nothing is caught up on for the time it was paused.
  local noted = pauseUntil(redis.call('HGET', pausesKey, field), now)
  if not noted then
    if isOfJob then redis.call('HSET', pausesKey, field, RESUMED_MARK) end
  elseif sub(noted, -1) == BY_CODE_MARK then
    redis.call('HSET', pausesKey, field, sub(noted, 1, -2))
  elseif sub(noted, 1, 1) == RESUMED_MARK then
    redis.call('HSET', pausesKey, field, noted)
  else
    redis.call('HSET', pausesKey, field, RESUMED_MARK .. format('%.0f', at))
  end
end

-- What claims are to look at; those of long ago are looked at no more.
local skips = redis.call('HGETALL', skipsKey)
local left = #skips / 2
for i = 1, #skips, 2 do
  if tonumber(match(skips[i], '^%d+')) < now - KEEP_SKIP then left = left - redis.call('HDEL', skipsKey, skips[i]) end
end
local looksAtPauses = redis.call('EXISTS', base .. KEY_PAUSES) == 1 and STANDING_PAUSES or ''
-- Also after a reset: one who has not heard of it is under the override.
local looksAtOverrides = (isOverride or string.find(textAt(standingKey), STANDING_OVERRIDES, 1, true)) and STANDING_OVERRIDES or ''
redis.call('SET', standingKey, looksAtPauses .. (left > 0 and STANDING_SKIPS or '') .. looksAtOverrides)
return { CHANGE_MADE, entry }
