-- Says whether jobs are paused, or since when they are not, after what the code says of them.
--
-- KEYS  fence
-- ARGV  for each job a line `isPaused group jobId`, with 1 or 0 for whether its code says that it is, and NOBODY for no
--       group
-- Reply of each PAUSED_BY_CODE where it is paused, by whoever it is; RESUMED_MARK and a time where it was resumed; else an
--       empty string

--- @include "strings"
--- @include "clock"
--- @include "keys"
--- @include "pause"
--- @include "standing"

local pausedKey = base .. KEY_PAUSED
local isPausedByCode, ids, groups = {}, {}, {}
for isPaused, group, jobId in gmatch(ARGV[1], '(%d) (%S+) ([^\n]+)') do
  ids[#ids + 1] = jobId
  groups[#ids] = group
  isPausedByCode[#ids] = isPaused == '1'
end
local notes = redis.call('HMGET', pausedKey, unpack(ids))
local standing = readStanding()
local reply = {}
for i = 1, #ids do
  local paused = pauseByCode(notes[i], isPausedByCode[i], now)
  if paused ~= notes[i] then redis.call('HSET', pausedKey, ids[i], paused) end
  local isResumed = paused and sub(paused, 1, 1) == RESUMED_MARK
  local isPaused, resumedAt = pauseWith(
    standing, groups[i], paused and not isResumed, isResumed and tonumber(match(paused, '%d+')) or -1
  )
  reply[i] = isPaused and PAUSED_BY_CODE or resumedAt >= 0 and RESUMED_MARK .. format('%.0f', resumedAt) or ''
end
return reply
