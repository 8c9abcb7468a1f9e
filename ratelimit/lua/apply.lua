-- Brings a run of the log into the gate.
--
-- KEYS 1 position  2 pools
-- ARGV 2 position expected  3 position to write  4 changes, a JSON array
-- Returns 1, or 0 if the position is another.
--
-- Each change may have been made before, by the admission itself or by an Apply
-- that broke off: making it again changes nothing. The position is written
-- last; it never runs ahead of what it covers.

-- The gate's windows run on the gate's clock: no proof is from its future.
local function past(at, ahead)
  return math.min(at, now + (ahead or 0))
end

local function member(sender)
  return set(call('HGET', SENDER_KEY .. sender, 'member'))
end

-- A grant as the log tells it. Known ones are left as they are.
local function intent(c)
  local job = read(JOB_KEY .. c.job, c.attempt)
  local grant, at = job.grant, past(c.at, HORIZON)
  local known = grant and grant.state ~= 'r'
  if known and grant.token == c.token then
    return
  end
  job.digest, job.sender, job.customer = c.digest, c.sender, canonical(c.customer)
  local present = member(c.sender)
  if not present then
    join(read_sender(c.sender, c.pool), c.pool)
  end
  if known then
    -- Two grants of one attempt: the first one stays, the customer counts.
    if c.counted then
      refresh(job, grant, at, present)
      save(job)
    end
    return
  end
  grant = grant or { pool = c.pool }
  grant.state, grant.given, grant.at, grant.token = 'g', at, at, c.token
  grant.counted = c.counted or false
  if grant.counted then
    refresh(job, grant, at, present)
  else
    give_back(job, grant)
  end
  job.grant = grant
  if job.mark and tonumber(string.match(job.mark, '|(%d+)|')) <= job.attempt then
    unmark(job)
    unshelve(job)
  end
  save(job)
end

-- Proof that an attempt reached the provider, or the customer.
local function progress(c)
  local job = recall(JOB_KEY .. c.job, c.attempt)
  local grant = job.grant
  if not grant or grant.state == 'r' then
    return
  end
  if c.sid then
    call('HSET', job.hash, 'i' .. us(job.attempt), c.sid)
  end
  local delivered = c.status == 'delivered' or c.status == 'read'
  if grant.state == 'd' or (grant.state == 'b' and not delivered) then
    return
  end
  if grant.counted then
    refresh(job, grant, past(c.at), member(job.sender))
  end
  if delivered then
    grant.state = 'd'
  end
  save(job)
  if c.sid and job.latest <= job.attempt then
    -- It may be the last that is told of it.
    forget(job.hash, past(c.at) + RETENTION - now)
  end
end

local function failed(c)
  local job = recall(JOB_KEY .. c.job, c.attempt)
  if job.grant and (not c.token or c.token == job.grant.token) then
    fail(job)
  end
end

-- The job's end, unless a later attempt has begun a new life. One that still lies
-- in the waiting room, as after a cancel, needs no place to leave it.
local function ended(c)
  local attempt = c.attempt or 0
  local job = recall(JOB_KEY .. c.job)
  if attempt > 0 and job.latest > attempt then
    return
  end
  if c.sid and job.latest == 0 then
    return -- of a message whose job was forgotten: its id is free
  end
  local lies, priority = job.lies, job.mark and string.match(job.mark, '^%d')
  drop_reservation(job)
  unmark(job)
  unshelve(job)
  if lies and priority then
    make_ready(job.sender, priority, lies)
  end
  local last = math.max(attempt, job.latest, 1)
  call('HDEL', job.hash, 'c', 'o')
  call('HSET', job.hash, 'x', us(last) .. '|' .. c.status)
  if c.digest and c.sender and not job.digest then
    call('HSET', job.hash, 'd', c.digest, 's', c.sender)
  end
  -- An end older than the retention is forgotten at once.
  forget(job.hash, past(c.at) + RETENTION - now)
end

local function inbound(c)
  local customer, at = canonical(c.customer), past(c.at)
  local name, left = INBOUND_KEY .. c.sender .. ':' .. customer, at + SERVICE - now
  if left > 0 and at > tonumber(call('GET', name) or '0') then
    call('SET', name, us(at), 'PX', ms(left))
    call('SADD', SENDERS_KEY, c.sender)
    wake(customer)
  end
end

local function consent(c)
  say(c.customer, c.sender, c.status, c.at, '')
end

local apply = {
  intent = intent, progress = progress, failed = failed, ended = ended,
  inbound = inbound, consent = consent,
}

if (call('GET', KEYS[1]) or '0') ~= ARGV[2] then
  return 0
end
for _, change in ipairs(cjson.decode(ARGV[4])) do
  apply[change.kind](change)
end
-- What is true now: everything up to here is in Redis. A crash before it
-- repeats these changes.
call('SET', KEYS[1], ARGV[3])
return 1
