-- Part: policies are told in any order, and more than once.

-- Whether a policy's version is above the stored one. Versions are padded to
-- one length, so they compare as text.
local function newer(hash, version, field)
  local stored = call('HGET', hash, field or 'version')
  return not stored or version > stored
end
