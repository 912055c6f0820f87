-- Says what changes have put in force.
--
-- KEYS  fence
-- Reply the version of the last change; what is noted of the pauses of jobs, and of those of groups and of all jobs;
--       the ticks that are to be skipped; the overrides of jobs: as the hashes have it

--- @include "strings"
--- @include "keys"
--- @include "text-at"

return {
  textAt(base .. KEY_VERSION), redis.call('HGETALL', base .. KEY_PAUSED), redis.call('HGETALL', base .. KEY_PAUSES),
  redis.call('HGETALL', base .. KEY_SKIPS), redis.call('HGETALL', base .. KEY_OVERRIDES)
}
