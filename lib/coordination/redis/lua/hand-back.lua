-- Takes claims back: each lock that is the run's own is released, and a tick that is still claimed by the request is
-- free again and told to the others: `handed` has its tick, whose claim it was, and when it was handed back, and no
-- block of such a tick is marked as taken any more. A tick that a later one has passed is over. A repeated call gets
-- the reply it had.
--
-- KEYS  fence, handed, the replica's last reply to a hand-back, then for each claim its lock and its claim
-- ARGV  the call's id, then for each claim `runId tick endedAt slot`, with -1 for a tick that nobody is told of, -1 for
--       the end that is now, and `w` after the slot for a run of what has waited, which waits again
-- Reply a string of one digit for each claim, one of the HAND_BACKs; then, after a line break each, the number of a claim
--       of what has waited that is HAND_BACK_WASTED, and its tick

--- @include "strings"
--- @include "repeated-call"
local handedKey, replyKey = KEYS[2], KEYS[3]
local callId = ARGV[1]
local before = replyBefore(replyKey, callId)
if before then return before end

--- @include "clock"
--- @include "keys"
--- @include "text-at"
--- @include "record"
--- @include "slots"
--- @include "queue"
--- @include "close-strays"

local nowText = format('%.0f', now)

local marks, seen = {}, {}
for i = 2, #ARGV do
  local tick = match(ARGV[i], '^%S+ (%d+)')
  if tick and not seen[tick] then
    seen[tick] = true
    marks[#marks + 1] = base .. KEY_TAKEN .. tick
  end
end
-- Before anything is written: a Cluster whose slot is moving may refuse it.
redis.call('EXISTS', openKey, unpack(marks))
if #marks > 0 then redis.call('DEL', unpack(marks)) end

-- Forgets a date that was claimed beside the ticks of another trigger.
local function forgetDate(jobId, runId)
  local key = base .. KEY_DATES .. jobId
  local dates = redis.call('HGETALL', key)
  for at = 2, #dates, 2 do
    if dates[at] == runId then redis.call('HDEL', key, dates[at - 1]) end
  end
end

local function tellHanded(jobId, tick, runId)
  redis.call('HSET', handedKey, jobId, tick .. ' ' .. runId .. ' ' .. nowText)
  redis.call('PEXPIRE', handedKey, KEEP_HANDED)
end

local reply, closed, strays, wasted = {}, {}, {}, {}

-- Ends the run in another slot than the first, if it is the claim's own. Whether it was.
local function endInSlot(jobId, runId, slot)
  local grant = runInSlot(jobId, slot)
  if not grant or runIdOf(grant) ~= runId then return false end
  closed[#closed + 1] = memberOf(grant, jobId)
  redis.call('HDEL', runsKey(jobId), slot)
  return true
end

-- What a run was for that has lost its slot to another one: its time and its word, as it stands among those that are
-- open. Nil where that is over, taken over, or recorded as abandoned.
local function takeReplaced(jobId, runId)
  for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do
    local id, word, runTick, attempt, itsJob = match(member, '^(%S+) %d+ %d+ (%S+) (%-?%d+) (%d+) (.+)$')
    if id == runId and itsJob == jobId then
      local request = match(word, ';Q=([^;]+)')
      local isLeft
      if request then
        isLeft = redis.call('HGET', requestsKey(jobId), request) and not isTakenOver(jobId, runId, request)
      else
        isLeft = attempt == '0'
      end
      if not isLeft then return nil end
      redis.call('ZREM', openKey, member)
      return runTick, word
    end
  end
end

-- What has waited, and was granted by the claim, waits again. Where a later tick has come, which one does not.
local function waitAgain(jobId, claimKey, runId, slot)
  local tick, previous, claimedBy, ended, grant, fingerprint = readRecord(textAt(claimKey))
  if not tick then return HAND_BACK_NOT_OURS end
  local isFirst = slot == '1'
  local itsGrant = isFirst and ended == '0' and grant or not isFirst and runInSlot(jobId, slot)
  local isOwn = itsGrant and runIdOf(itsGrant) == runId
  local _, runTick, word
  if not isOwn then
    runTick, word = takeReplaced(jobId, runId)
    if not runTick then return HAND_BACK_NOT_OURS end
  else
    _, _, _, word, runTick = readGrant(itsGrant)
    if isFirst then
      closed[#closed + 1] = memberOf(itsGrant, jobId)
      ended, grant = nowText, unbegunGrant(grant)
    else
      endInSlot(jobId, runId, slot)
    end
  end
  local isRequest = find(word, ';Q=', 1, true)
  local isPassed = not isOwn and not isRequest and tonumber(tick) > tonumber(runTick)
  local isFree = not isPassed and enqueueAgain(jobId, runTick, word)
  -- A request is counted when its run begins, a tick when it comes to wait.
  if isRequest or not isFree then fingerprint = withoutRun(fingerprint) end
  redis.call('SET', claimKey, writeRecord(tick, previous, claimedBy, ended, grant, fingerprint), 'KEEPTTL')
  if isFree then return HAND_BACK_FREE end
  return HAND_BACK_WASTED, runTick
end

local function handBack(jobId, claimKey, runId, handedTick, endedAt, slot)
  local tick, previous, claimedBy, ended, grant, fingerprint = readRecord(textAt(claimKey))
  local isOwnRun = slot == '1' and ended == '0' and runIdOf(grant) == runId
  if isOwnRun then
    closed[#closed + 1] = memberOf(grant, jobId)
    ended, grant = tonumber(endedAt) >= 0 and endedAt or nowText, unbegunGrant(grant)
  elseif slot ~= '1' and endInSlot(jobId, runId, slot) then
    isOwnRun = true
  else
    strays[runId] = notBegun
  end
  if isOwnRun then fingerprint = withoutRun(fingerprint) end
  if claimedBy == runId or claimedBy == UNCONFIRMED_MARK .. runId then
    if not isOwnRun and dequeueTickOf(jobId, runId) then fingerprint = withoutRun(fingerprint) end
    if tick == previous then forgetDate(jobId, runId) end
    redis.call('SET', claimKey, writeRecord(previous, previous, NOBODY, ended, grant, fingerprint), 'KEEPTTL')
    if tonumber(handedTick) >= 0 then tellHanded(jobId, handedTick, runId) end
    return HAND_BACK_FREE
  elseif isOwnRun then
    redis.call('SET', claimKey, writeRecord(tick, previous, claimedBy, ended, grant, fingerprint), 'KEEPTTL')
    return HAND_BACK_WASTED
  end
  return HAND_BACK_NOT_OURS
end

for i = 1, #ARGV - 1 do
  local runId, handedTick, endedAt, slot, waited = match(ARGV[i + 1], '^(%S+) (%-?%d+) (%-?%d+) (%d+)(w?)$')
  local lockKey, claimKey = KEYS[2 * i + 2], KEYS[2 * i + 3]
  local jobId = sub(claimKey, #base + #KEY_CLAIM + 1)
  if slot == '0' then
    slot = slotOfRun(jobId, runId)
    lockKey = lockOfSlot(jobId, slot)
  end
  if textAt(lockKey) == runId then redis.call('DEL', lockKey) end
  if waited == 'w' then
    local wastedTick
    reply[i], wastedTick = waitAgain(jobId, claimKey, runId, slot)
    if wastedTick then wasted[#wasted + 1] = '\n' .. i .. ' ' .. wastedTick end
  else
    reply[i] = handBack(jobId, claimKey, runId, handedTick, endedAt, slot)
  end
end
if #closed > 0 then redis.call('ZREM', openKey, unpack(closed)) end
closeStrays(strays)
local text = table.concat(reply) .. table.concat(wasted)
rememberReply(replyKey, callId, text)
return text
