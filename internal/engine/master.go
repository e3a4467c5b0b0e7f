package engine

import (
	"cmp"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// A Master says where a session's executors run, in the words of Spark's
// spark.master. The zero Master is local[*].
type Master struct {
	url string
	// Of a local-cluster: how many workers, and the cores and MiB of each.
	workers, cores, memory int
}

const defaultMaster = "local[*]"

var (
	masterLocal   = regexp.MustCompile(`^local(\[(\*|[1-9][0-9]{0,3})\])?$`)
	masterCluster = regexp.MustCompile(`^local-cluster\[([1-9][0-9]{0,3}),([1-9][0-9]{0,3}),([1-9][0-9]{0,6})\]$`)
	masterAlone   = regexp.MustCompile(`^spark://[^\s/,:]+:[0-9]+(,[^\s/,:]+:[0-9]+)*$`)
	masterK8s     = regexp.MustCompile(`^k8s://(https?://)?[^\s/,]+(/\S*)?$`)
)

// leastMemory is the least that Spark starts an executor with, in MiB: 1.5
// times what it reserves for itself.
const leastMemory = 450

// ParseMaster reads a master URL; an empty one is the zero Master. The error
// lists the valid forms.
func ParseMaster(text string) (Master, error) {
	m := Master{url: text}
	switch {
	case text == "":
		return m, nil
	case masterLocal.MatchString(text), text == "yarn", masterAlone.MatchString(text), masterK8s.MatchString(text):
		return m, nil
	case masterCluster.MatchString(text):
		part := masterCluster.FindStringSubmatch(text)
		for i, to := range []*int{&m.workers, &m.cores, &m.memory} {
			*to, _ = strconv.Atoi(part[i+1]) // the expression lets digits through that fit
		}
		if m.memory < leastMemory {
			return Master{}, fmt.Errorf("%s gives its workers %d MiB, and a Spark executor does not start with less than %d", text, m.memory, leastMemory)
		}
		return m, nil
	}
	return Master{}, fmt.Errorf("%q is not a Spark master: use local, local[N], local[*], local-cluster[WORKERS,CORES,MEGABYTES], "+
		"spark://HOST:PORT, yarn or k8s://ADDRESS", text)
}

func (m Master) String() string { return cmp.Or(m.url, defaultMaster) }

// Local: the driver is the one executor.
func (m Master) Local() bool { return masterLocal.MatchString(m.String()) }

// localCluster: the executors are processes on this machine, below the driver's.
func (m Master) localCluster() bool { return m.workers > 0 }

// slots is how many tasks of a session run at once on this machine.
func (m Master) slots() int {
	switch threads := masterLocal.FindStringSubmatch(m.String()); {
	case m.localCluster():
		return m.workers * m.cores
	case threads == nil:
		return 0
	case threads[2] == "*":
		return runtime.NumCPU()
	default:
		n, _ := strconv.Atoi(threads[2])
		return max(1, n)
	}
}

// standalone: the executors are given out by one of Spark's own masters.
func (m Master) standalone() bool { return m.localCluster() || strings.HasPrefix(m.url, "spark://") }

// NeedsSecret: the cluster has a secret of its own, which its sessions must know.
func (m Master) NeedsSecret() bool { return strings.HasPrefix(m.url, "spark://") }

// Here: nothing of a session is on another machine.
func (m Master) Here() bool { return m.Local() || m.localCluster() }
