package ergane

import (
	"encoding/json"
	"strings"
	"time"
)

// SessionState is the wire enum SessionState.
type SessionState string

const (
	SessionCreating    SessionState = "CREATING"
	SessionCreated     SessionState = "CREATED" // of the enum; never entered here
	SessionIdle        SessionState = "IDLE"
	SessionBusy        SessionState = "BUSY"
	SessionTerminating SessionState = "TERMINATING"
	SessionTerminated  SessionState = "TERMINATED"
	SessionDegraded    SessionState = "DEGRADED"
	SessionFailed      SessionState = "FAILED"
)

// Ended reports whether no move leads out of s.
func (s SessionState) Ended() bool { return s == SessionTerminated || s == SessionFailed }

// ActiveSessionStates are those that ListSessions shows when no filter is given.
var ActiveSessionStates = []SessionState{SessionCreating, SessionCreated, SessionIdle, SessionBusy}

// A Session is one kernel plus its executors.
type Session struct {
	ID            string // canonical lower-case UUID text; clients parse it as one
	WorkGroup     string
	Owner         string // the id of the server that runs it; empty: none does yet
	Description   string
	EngineVersion EngineVersion
	Engine        EngineConfiguration
	ExecutionRole string
	IdleTimeout   time.Duration
	// WorkingDirectory is where the results go: <OutputLocation>/session/<id>.
	WorkingDirectory string
	Encryption       *Encryption
	BucketOwner      string // the account that must own the bucket of WorkingDirectory; empty means any
	NotebookVersion  string
	Tags             []Tag
	Monitoring       json.RawMessage // see WorkGroupConfiguration.Monitoring
	Dpus             int             // the most that it may use; Limits count it
	Memory           int64           // bytes that it may need on this machine; Limits count them
	Status           SessionStatus
	DpuMillis        int64 // DPU milliseconds of the session's calculations
}

// Delivery says how the session's results are stored.
func (s Session) Delivery() Delivery {
	return Delivery{BucketOwner: s.BucketOwner, Encryption: s.Encryption}
}

// SessionStatus is the wire shape SessionStatus; zero times are absent ones.
type SessionStatus struct {
	State      SessionState
	Reason     string // why it has this state; empty if nothing went wrong
	StartedAt  time.Time
	ModifiedAt time.Time
	EndedAt    time.Time
	IdleSince  time.Time
}

// EngineConfiguration is the wire shape EngineConfiguration. A size of 0 means that none was given.
type EngineConfiguration struct {
	CoordinatorDpuSize     int               `json:",omitzero"`
	DefaultExecutorDpuSize int               `json:",omitzero"`
	MaxConcurrentDpus      int               `json:",omitzero"`
	SparkProperties        map[string]string `json:",omitzero"`
	AdditionalConfigs      map[string]string `json:",omitzero"`
	Classifications        []Classification  `json:",omitzero"`
}

// Classification is a named set of properties, for instance spark-defaults.
type Classification struct {
	Name       string
	Properties map[string]string `json:",omitzero"`
}

// SparkDefaults is the classification whose properties are Spark properties.
const SparkDefaults = "spark-defaults"

// Properties returns every Spark property that the configuration asks for. If
// several places have the same key, SparkProperties win over AdditionalConfigs
// (which also carry the notebook's id), and the spark-defaults classifications
// over both, the last one first.
func (c EngineConfiguration) Properties() map[string]string {
	all := map[string]string{}
	for k, v := range c.AdditionalConfigs {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(k)), "spark.") {
			all[k] = v
		}
	}
	for k, v := range c.SparkProperties {
		all[k] = v
	}
	for _, cl := range c.Classifications {
		if cl.Name != SparkDefaults {
			continue
		}
		for k, v := range cl.Properties {
			all[k] = v
		}
	}
	return all
}
