-- Takes a lock by name, as redlock's own acquire does, with a fencing token.
--
-- KEYS  fence, lock
-- ARGV  token, ttl
-- Reply Redis' time in microseconds and the fencing token, or 0 and the holder when the lock is held

--- @include "strings"
--- @include "clock"

if not redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2], 'NX') then
  local holder = redis.pcall('GET', KEYS[2])
  -- Taken before, and the reply was lost?
  if holder ~= ARGV[1] then return { micros, 0, type(holder) == 'string' and holder or '' } end
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
local fence = math.max((tonumber(redis.call('GET', KEYS[1]) or '0') or 0) + 1, micros)
redis.call('SET', KEYS[1], format('%.0f', fence))
return { micros, fence }
