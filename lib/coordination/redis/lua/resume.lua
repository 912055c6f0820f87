-- Resumes a job, and remembers when, if it was paused.
--
-- KEYS  paused
-- ARGV  the job's id

--- @include "strings"
--- @include "clock"

local noted = redis.call('HGET', KEYS[1], ARGV[1])
if not noted then
  redis.call('HSET', KEYS[1], ARGV[1], RESUMED_MARK)
elseif sub(noted, -1) == BY_CODE_MARK then
  redis.call('HSET', KEYS[1], ARGV[1], sub(noted, 1, -2))
elseif sub(noted, 1, 1) ~= RESUMED_MARK then
  redis.call('HSET', KEYS[1], ARGV[1], RESUMED_MARK .. format('%.0f', now))
end
