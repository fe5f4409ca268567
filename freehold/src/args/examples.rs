//! Examples: what stands under the help of commands that have more than one use.

pub(super) const FREEHOLD: &str = "\
Try it:
  freehold demo                        the main job, from nothing, in under a minute
  freehold up                          a cloud in ./freehold-data, at http://127.0.0.1:8000
  freehold login                       keep the operator's token of that cloud
  freehold publish my-model/           package, test, measure and list a folder
  freehold search \"sign-in risk\"       find by what it does

Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 refused or failed,
2 wrong arguments, 3 not authorised, 4 not found, 5 conflict, 6 unavailable, 7 a fault of ours.";

pub(super) const DEMO: &str = "\
Try it:
  freehold demo
  freehold demo functions                      a deployment under load, a link, a service
  freehold demo --events /var/log/auth.log     your own machine's sign-ins
  freehold demo --stay                         and go on by hand";

pub(super) const LOGIN: &str = "\
Try it:
  freehold login                               a cloud that `freehold up` runs here
  freehold login https://cloud.example --token TOKEN --authority ca.pem";

pub(super) const SHARE: &str = "\
Try it:
  ... share my-risk --with acme --with borealis
  ... share my-risk --everybody
  ... share my-risk --nobody";

pub(super) const PUBLISH: &str = "\
Try it:
  freehold init my-model/                      writes freehold.toml by looking at the folder
  freehold publish my-model/                   only you see it
  freehold publish my-model/ --everybody       every account sees it
The steps are told as they go; one that fails says file and cure.";

pub(super) const SUGGEST: &str = "\
Try it:
  freehold suggest --kind algorithm --dataset acme/signin-events
  freehold suggest sign-in risk --kind model --latency 2 --memory 256";

pub(super) const PIPELINE: &str = "\
Try it:
  freehold pipeline judge acme/features my-risk@3
Each stage has to give what the next one takes.";

pub(super) const TRAIN: &str = "\
Try it:
  freehold train acme/signin-risk --data training=acme/signin-events --as my-risk
  freehold train acme/signin-risk --data training=events --set epochs=50 --as my-risk
Ctrl-C ends the following, not the training; `freehold training cancel ID` ends that.";

pub(super) const DEPLOY: &str = "\
Try it:
  freehold deploy my-risk                      an endpoint named my-risk
  freehold deploy acme/my-risk@2 --as risk --instance-type small";

pub(super) const STREAM: &str = "\
Try it:
  freehold stream create signins --retain 90d
  freehold stream import signins auth.log --year 2026
  freehold stream stats signins --since 2026-03-27 --zone Europe/Oslo
  freehold stream head signins --where outcome=failure
  freehold stream export signins --format parquet --to signins.parquet
  freehold stream make rush --from signins --count 100000 --jitter 5%";

pub(super) const REPLAY: &str = "\
Try it:
  freehold replay risk --stream signins --speed 10x
  freehold replay risk@next --against main --stream signins --rate 500/s --for 1m
  freehold replay risk@next --stream signins --rate 200/s --for 2m --drill kill@30s --drill kill@1m
  freehold replay risk@next --stream signins --poisson 200/s --prediction /score --threshold 0.7
  freehold replay risk@next --against main --stream signins --sweep 'response_p99<=50ms'";

pub(super) const SERIES: &str = "\
Try it:
  freehold runs series run-0192f0c1d2e37a4bb5c6d7e8f9a0b1c2 --step 10s --by region
  freehold runs series run-0192f0c1d2e37a4bb5c6d7e8f9a0b1c2 --hours --zone Europe/Oslo";

pub(super) const DRIFT: &str = "\
Try it:
  freehold stream drift signins --against-since 2026-11-01 --since 2026-11-22
  freehold stream drift signins --against-until 2026-11-22 --since 2026-11-22 --alarm-every 1000000
A field has changed where that is clear; where nothing changes, that is said once in --alarm-every
events, at most.";

pub(super) const RUNS: &str = "\
Try it:
  freehold runs list
  freehold runs show run-0192f0c1d2e37a4bb5c6d7e8f9a0b1c2 --format json";

pub(super) const GATE: &str = "\
Try it:
  freehold endpoint gate set risk 'response_p99<=50ms' 'errors<=0.1%' 'accuracy>=0.98x' verdict
  freehold endpoint gate set risk 'response_p99<=50ms[region=no]' 'errors<=1%[region=*]'
  freehold endpoint gate ask risk --run run-0192f0c1d2e37a4bb5c6d7e8f9a0b1c2
  freehold endpoint promote risk next --run run-0192f0c1d2e37a4bb5c6d7e8f9a0b1c2 --to bake --share 10% --for 30m";

pub(super) const CAPTURE: &str = "\
Try it:
  freehold stream create requests --retain 30d
  freehold endpoint capture set risk --stream requests --share 5% --key x-customer
  freehold endpoint capture show risk
  freehold replay risk@next --against main --stream requests
Nobody waits for it. What finds no room is counted and left out; show tells how often.";
pub(super) const TRIGGER: &str = "\
Try it:
  freehold endpoint trigger add risk failing 'errors>=2%' --of next --over 5m --then out
  freehold endpoint trigger list risk
  freehold endpoint trigger history risk
A condition is so where it surely is: few events say nothing.";

pub(super) const TRIGGER_ADD: &str = "\
Try it:
  freehold endpoint trigger add risk slow 'response_p99>=1.5x' --of next --over 10m --then revert --then webhook=https://ops.example.org/hooks
  freehold endpoint trigger add risk silent 'requests<=10' --over 1h --then email=ops@example.org
  freehold endpoint trigger add risk burning burn --objective 99.9% --over 1h --then deploy=old:production
  freehold endpoint trigger add risk odd 'errors>=5%' --over 15m --then replay=signins
  freehold endpoint trigger add risk more 'response_p99<=50ms' --on replay --then change=rate:2x
  freehold endpoint trigger add risk less 'response_p99>=200ms' --over 1m --then change=rate:20/s
  freehold endpoint trigger add risk poor 'accuracy<=90%' --on replay --then email=ops@example.org
  freehold endpoint trigger add risk beaten worse --on replay --then retrain
  freehold endpoint trigger add risk wrong 'accuracy<=0.98x' --of next --over 1d --prediction /score --then out
It fires once, until the condition is surely not so or the use of variants is changed.";

pub(super) const VARIANT: &str = "\
Try it:
  freehold endpoint variant add risk next my-risk@2
  freehold invoke risk@next '{\"instances\": [[0.1, 0.2]]}'
  freehold endpoint variant use risk next canary --share 5%
  freehold endpoint variant use risk next production
  freehold endpoint restore risk 0";

pub(super) const INVOKE: &str = "\
Try it:
  freehold invoke risk '{\"instances\": [[0.1, 0.2]]}'
  freehold invoke risk --file rows.csv
  freehold invoke acme.risk --file - < request.json";

pub(super) const LOGS: &str = "\
Try it:
  freehold logs risk
  freehold logs -f train-0192f0c1d2e37a4bb5c6d7e8f9a0b1c2";

pub(super) const BACKUP: &str = "\
Try it:
  freehold backup --data freehold-data copies/monday
The cloud may run meanwhile. `freehold restore copies/monday --data new` puts it back.
Events of streams and records of replays are not in it: have sealed events copied with --segments,
or copy the folder gateway of the data folder while the gateway is stopped.";

pub(super) const EVENTS_KEY: &str = "\
Try it:
  freehold events-key new keys/events.key
  freehold up --events-key keys/events.key     streams that begin from now on are encrypted
  freehold events-key rotate keys/events.key
Keep the file apart from the data and from its backups: without it nobody reads them.";

pub(super) const FUNCTION: &str = "\
Try it:
  mkdir greet && printf 'def handler(event, context):\\n    return \"hello \" + event[\"name\"]\\n' > greet/app.py
  freehold function create greet --code greet/ --runtime python3 --handler app.handler
  freehold function invoke greet '{\"name\": \"you\"}'
  freehold function publish greet              version 1, which stays as it is";

pub(super) const SOURCE: &str = "\
Try it:
  freehold function source add score signins --batch 500 --window 1s --bisect --retries 3
  freehold function source add alarm signins --from next --filter '{\"data\": {\"amount\": [{\"numeric\": [\">\", 90]}]}}'
  freehold function source list score
It gets events as Kinesis' streams are given to Lambda's functions, so code for those runs unchanged.";

pub(super) const SIMULATE: &str = "\
Try it:
  freehold simulate calls.csv
  freehold simulate calls.csv --durations durations.csv --sizes memory.csv --memory 64GiB
  freehold simulate calls.csv --policy least-cost --policy fixed --keep 60 --json";

pub(super) const GRANT: &str = "\
Try it:
  freehold grant create score my-scorer --qualifier live --with acme --per-minute 600
  freehold grant received                      what others let you link to
  freehold usage --sold                        what was made of yours
Whoever links to it never sees its code, configuration, environment or log.";

pub(super) const LINK: &str = "\
Try it:
  freehold link create score borealis/score --set country=de --per-day 10000
  freehold function invoke score '{\"amount\": 12}'
  freehold function logs score                 one line for each call
The owner sees counts, durations and failures, and never who calls or what.";

pub(super) const USAGE: &str = "\
Try it:
  freehold usage                               what you called, by function and link
  freehold usage --sold --days 7               what others called of yours, by grant";

pub(super) const SERVICE: &str = "\
Try it, with a file risk.toml:
  description = \"Says how risky a payment is\"
  [[operations]]
  path = \"/customers/{customer}/score\"         what stands in braces is a member of the event
  function = \"score\"                           a function or link of yours
  input = { type = \"object\", required = [\"amount\"] }
  output = { type = \"object\", required = [\"risk\"] }

  freehold service create risk risk.toml
  freehold service key create risk web-shop --per-minute 600 --per-day 100000
It answers under /services/ACCOUNT/risk, with a page for people and openapi.json for tools.";
