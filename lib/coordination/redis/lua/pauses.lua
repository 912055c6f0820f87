-- Says what is noted of the pauses of jobs, after what the code says of them.
--
-- KEYS  paused
-- ARGV  for each job a line `isPaused jobId`, with 1 or 0 for whether its code says that it is
-- Reply what is noted of each, an empty string for nothing

--- @include "strings"
--- @include "clock"
--- @include "pause"

local isPausedByCode, ids = {}, {}
for isPaused, jobId in gmatch(ARGV[1], '(%d) ([^\n]+)') do
  ids[#ids + 1] = jobId
  isPausedByCode[#ids] = isPaused == '1'
end
local noted = redis.call('HMGET', KEYS[1], unpack(ids))
for i = 1, #ids do
  local paused = pauseByCode(noted[i], isPausedByCode[i], now)
  if paused ~= noted[i] then redis.call('HSET', KEYS[1], ids[i], paused) end
  noted[i] = paused or ''
end
return noted
