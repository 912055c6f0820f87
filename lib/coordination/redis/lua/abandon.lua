-- Records runs as abandoned, each once: a run that has ended meanwhile, or has its lock, is none. A repeated call gets
-- the reply it had. What stood in `open` is kept beside the mark, should the call be taken back.
--
-- KEYS  fence
-- ARGV  the call's id; how many runs the history keeps of a job, and for how long; then for each run `runId slot jobId`, a
--       line break, and what the history keeps of it, see history.lua, if anything
-- Reply a string of one digit for each run, one of the ABANDONs

--- @include "strings"
--- @include "clock"
--- @include "keys"
--- @include "text-at"
--- @include "record"
--- @include "slots"
--- @include "replaced"
--- @include "status"
--- @include "history"

local callId = ARGV[1]
local count, keys, runIds, slots, jobIds, entries = 0, { KEYS[1], openKey }, {}, {}, {}, {}
for i = 4, #ARGV do
  local runId, slot, jobId, entry = match(ARGV[i], '^(%S+) (%d+) ([^\n]+)\n(.*)$')
  count = count + 1
  runIds[count], slots[count], jobIds[count], entries[count] = runId, slot, jobId, entry
  keys[2 * count + 1] = base .. KEY_ABANDONED .. runId
  keys[2 * count + 2] = lockOfSlot(jobId, slot)
end
-- All in one command: a Cluster whose slot is moving refuses it as a whole.
local known = redis.call('MGET', unpack(keys))
-- Each of several masters has given the run a fencing token of its own.
local memberOfRun = {}
for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do memberOfRun[match(member, '^%S+')] = member end

-- Nobody takes a run over: it is over in its slot, and what the request that it was for had brought is of no use.
local function forgetRun(runId, slot, jobId, member)
  local request = match(member, ';Q=([^;%s]+)')
  if request then redis.call('HDEL', base .. KEY_REQUESTS .. jobId, request) end
  if slot == '1' then
    local claimKey = base .. KEY_CLAIM .. jobId
    local tick, previous, claimedBy, ended, grant, fingerprint = readRecord(textAt(claimKey))
    if not tick or ended ~= '0' or runIdOf(grant) ~= runId then return end
    local _, fence, startedAt, replica, runTick, attempt = readGrant(grant)
    if attempt == '0' then return end
    local over = writeGrant(runId, fence, startedAt, replica, runTick, '0')
    redis.call('SET', claimKey, writeRecord(tick, previous, claimedBy, ended, over, fingerprint), 'KEEPTTL')
  else
    local grant = runInSlot(jobId, slot)
    if grant and runIdOf(grant) == runId then redis.call('HDEL', runsKey(jobId), slot) end
  end
end

-- The job has one more run that failed.
local function noteFailed(jobId)
  local claimKey = base .. KEY_CLAIM .. jobId
  local tick, previous, claimedBy, ended, grant, fingerprint = readRecord(textAt(claimKey))
  if not tick then return end
  fingerprint = withStatus(fingerprint, '-', format('%.0f', now))
  redis.call('SET', claimKey, writeRecord(tick, previous, claimedBy, ended, grant, fingerprint), 'KEEPTTL')
end

-- Keeps what is known of a run, with how far it had come.
local function keepAbandoned(jobId, runId, entry)
  local progress = tryHistory('HGET', base .. KEY_PROGRESS, runId)
  if progress then
    redis.call('HDEL', base .. KEY_PROGRESS, runId)
    entry = string.gsub(entry, '^(!?{)', '%1"p":' .. string.gsub(progress, '%%', '%%%%') .. ',')
  end
  if entry ~= '' then keepRun(jobId, entry, ARGV[2], tonumber(ARGV[3])) end
end

local function abandon(runId, slot, jobId, markKey, mark, holder, entry)
  if mark then return match(mark, '^%S+') == callId and ABANDON_RECORDED or ABANDON_ELSEWHERE end
  if holder == runId then return ABANDON_HELD end
  local member = memberOfRun[runId]
  if not member then return ABANDON_CLOSED end
  redis.call('ZREM', openKey, member)
  redis.call('SET', markKey, callId .. ' ' .. member, 'PX', KEEP_ABANDONED)
  noteFailed(jobId)
  keepAbandoned(jobId, runId, entry)
  local isReplaced = redis.call('HDEL', base .. KEY_HANDED, replacedField(runId)) == 1
  local attempt = tonumber((match(member, '^%S+ %d+ %d+ %S+ %-?%d+ (%d+)')))
  if isReplaced or attempt == 0 or attempt >= MAX_ATTEMPTS then forgetRun(runId, slot, jobId, member) end
  return ABANDON_RECORDED
end

local reply = {}
for i = 1, count do
  reply[i] = abandon(runIds[i], slots[i], jobIds[i], keys[2 * i + 1], known[2 * i + 1], known[2 * i + 2], entries[i])
end
return table.concat(reply)
