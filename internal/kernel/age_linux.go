package kernel

import (
	"encoding/json"
	"time"

	"golang.org/x/sys/unix"
)

// ageFile says when the calculation that runs was submitted, by a clock that
// nobody can set. It is in the server's part of the session's folder: code
// cannot make itself younger.
const ageFile = "age.json"

type ageDocument struct {
	V  int    `json:"v"`
	ID string `json:"id"`
	At int64  `json:"at"` // in milliseconds since the machine's start
}

// Age is how long ago a calculation was submitted, which was at the time given
// by the machine's clock. That clock is believed the first time only: what has
// passed since then, by the servers after this one too, does not jump when it
// is set. The kernel, and all that this compares, ends with the machine.
func (k *Kernel) Age(id string, submitted time.Time) time.Duration {
	now := sinceBoot()
	d, err := readDocument(k.root, ageFile, func(b []byte) (d ageDocument, err error) {
		return d, json.Unmarshal(b, &d)
	})
	if age := now - time.Duration(d.At)*time.Millisecond; err == nil && d.V == protocolVersion && d.ID == id && age >= 0 {
		return age
	}
	age := max(0, time.Since(submitted))
	d = ageDocument{V: protocolVersion, ID: id, At: (now - age).Milliseconds()}
	if err := writeFile(k.root, ageFile, d); err != nil && overwrite(k.root, ageFile, d) != nil {
		k.log.Warn("the age of a calculation cannot be written down; after a restart of the server, the machine's clock has to do", "calculation", id, "error", err)
	}
	return age
}

// sinceBoot counts while the machine sleeps, too.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
