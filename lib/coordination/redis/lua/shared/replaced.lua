-- The field of a run that another is to replace, among what was handed back: no job's id has such a character.
local function replacedField(runId)
  return '\127' .. runId
end
