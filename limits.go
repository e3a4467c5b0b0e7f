package ergane

import "fmt"

// DefaultDpus is the size limit of a session that names none: the default of
// Athena's console.
const DefaultDpus = 20

// Limits bound what may be live at once; 0 is no limit. TERMINATING sessions
// count only toward memory.
type Limits struct {
	Sessions          int   // of the server
	WorkGroupSessions int   // of each workgroup
	Dpus              int   // of all sessions, each with its Session.Dpus
	WorkGroupDpus     int   // of each workgroup's sessions
	Memory            int64 // bytes that all sessions may need, by Session.Memory
}

// A Limit names one of Limits. It is in the chain of the error of Admit.
type Limit string

// The limits by name.
const (
	LimitSessions          Limit = "sessions"
	LimitWorkGroupSessions Limit = "workgroup_sessions"
	LimitDpus              Limit = "dpus"
	LimitWorkGroupDpus     Limit = "workgroup_dpus"
	LimitMemory            Limit = "memory"
)

func (l Limit) Error() string { return "limit of " + string(l) }

// A Load is what is live when a session is to be admitted.
type Load struct {
	Sessions, WorkGroupSessions int
	Dpus, WorkGroupDpus         int
	Memory                      int64
}

// Admit refuses a session that would exceed a limit now with CodeQuota, whose
// sentence makes dbt-athena wait, and one that exceeds it alone with CodeInvalid.
func (l Limits) Admit(s Session, now Load) error {
	for _, c := range []struct {
		kind              Limit
		limit, live, more int
		what              string
	}{
		{LimitSessions, l.Sessions, now.Sessions, 1, "this server has %d of %d sessions"},
		{LimitWorkGroupSessions, l.WorkGroupSessions, now.WorkGroupSessions, 1, "workgroup " + s.WorkGroup + " has %d of %d sessions"},
		{LimitDpus, l.Dpus, now.Dpus, s.Dpus, "this server's sessions have %d of %d DPUs"},
		{LimitWorkGroupDpus, l.WorkGroupDpus, now.WorkGroupDpus, s.Dpus, "the sessions of workgroup " + s.WorkGroup + " have %d of %d DPUs"},
	} {
		switch {
		case c.limit > 0 && c.more > c.limit:
			return Errorf(CodeInvalid, "The session needs %d DPUs, and no more than %d are allowed. Ask for a smaller MaxConcurrentDpus.", c.more, c.limit)
		case c.limit > 0 && c.live+c.more > c.limit:
			return quota(c.kind, fmt.Sprintf(c.what, c.live, c.limit), c.more, "")
		}
	}
	const mib = 1 << 20
	switch {
	case l.Memory > 0 && s.Memory > l.Memory:
		return Errorf(CodeInvalid, "The session needs %d MiB of memory, and this server gives its sessions %d. Ask for a smaller spark.driver.memory.", s.Memory/mib, l.Memory/mib)
	case l.Memory > 0 && s.Memory > l.Memory-now.Memory:
		return quota(LimitMemory, fmt.Sprintf("this server's sessions need %d of %d MiB of memory", now.Memory/mib, l.Memory/mib), int(s.Memory/mib), " MiB")
	}
	return nil
}

func quota(kind Limit, now string, more int, unit string) error {
	e := Errorf(CodeQuota, "Maximum allowed sessions reached: %s, and this one needs %d%s more. End a session, or try again later.", now, more, unit)
	e.Cause = kind
	return e
}
