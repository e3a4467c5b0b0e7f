package engine

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/ergane-dev/ergane"
)

const (
	// One DPU is 4 vCPUs and 16 GB, of which Spark manages 10 on Athena.
	dpuCores    = 4
	dpuMemory   = "10g"
	dpuOverhead = "6g"

	keyExecutorCores  = "spark.executor.cores"
	keyExecutorMemory = "spark.executor.memory"
	keyInstances      = "spark.executor.instances"
	keyCoresMax       = "spark.cores.max"
	keyDynamic        = "spark.dynamicAllocation.enabled"
	keyMaxExecutors   = "spark.dynamicAllocation.maxExecutors"
	keyMinExecutors   = "spark.dynamicAllocation.minExecutors"
	keyInitial        = "spark.dynamicAllocation.initialExecutors"
)

// sizeExecutors adds the number and the size of the executors to a configuration
// that has the client's properties. The coordinator uses one DPU of maxDpus (0
// means ergane.DefaultDpus), each executor another one. With a local master the
// driver is the executor, and nothing is added.
//
// A value that is not a number is kept: Spark refuses it with its own error.
func sizeExecutors(conf map[string]string, m Master, maxDpus int) {
	if m.Local() {
		return
	}
	limit := max(1, cmp.Or(maxDpus, ergane.DefaultDpus)-1)
	preset(conf, keyDynamic, "true")
	preset(conf, "spark.dynamicAllocation.shuffleTracking.enabled", "true")
	preset(conf, "spark.dynamicAllocation.executorIdleTimeout", "60s")
	preset(conf, keyMinExecutors, "0")
	preset(conf, keyInitial, "1")
	preset(conf, keyMaxExecutors, strconv.Itoa(limit))
	dynamic := !strings.EqualFold(strings.TrimSpace(conf[keyDynamic]), "false")
	if !dynamic {
		preset(conf, keyInstances, "2") // Spark's own default
	}
	for _, key := range []string{keyMaxExecutors, keyMinExecutors, keyInitial, keyInstances} {
		lower(conf, key, limit)
	}
	if m.localCluster() {
		preset(conf, keyExecutorCores, strconv.Itoa(m.cores))
		preset(conf, keyExecutorMemory, strconv.Itoa(m.memory)+"m")
		// Spark would wait for ever for an executor that no worker can run.
		lower(conf, keyExecutorCores, m.cores)
		if asked, err := parseMemory(conf[keyExecutorMemory]); err == nil && asked > int64(m.memory)<<20 {
			conf[keyExecutorMemory] = strconv.Itoa(m.memory) + "m"
		}
	} else {
		preset(conf, keyExecutorCores, strconv.Itoa(dpuCores))
		preset(conf, keyExecutorMemory, dpuMemory)
		preset(conf, "spark.executor.memoryOverhead", dpuOverhead)
	}
	if cores, ok := number(conf[keyExecutorCores]); ok && cores > 0 && m.standalone() {
		// Without dynamic allocation a standalone master knows no other limit.
		executors := limit
		if asked, ok := number(conf[keyInstances]); ok && !dynamic {
			executors = max(1, asked)
		}
		preset(conf, keyCoresMax, strconv.Itoa(cores*executors))
		lower(conf, keyCoresMax, cores*executors)
	}
	// So that executors which started and ended between two observations are still listed.
	conf["spark.ui.retainedDeadExecutors"] = strconv.Itoa(max(100, limit))
}

// preset sets a property that the client did not set.
func preset(conf map[string]string, key, value string) {
	if _, asked := conf[key]; !asked {
		conf[key] = value
	}
}

// lower reduces a number to limit if it is above it.
func lower(conf map[string]string, key string, limit int) {
	if n, ok := number(conf[key]); ok && n > limit {
		conf[key] = strconv.Itoa(limit)
	}
}

// number reads a value as Spark reads its integers.
func number(text string) (int, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	return int(n), err == nil
}
