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

// sizeExecutors completes a configuration that has what the client asked for
// by how many executors there may be and how large each is. The coordinator
// takes one DPU of maxDpus (0: ergane.DefaultDpus), each executor another. On a
// local master the driver is the executor, and nothing is added.
//
// A value that is no number stays: Spark refuses it in its own words.
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
		// One that does not fit into a worker would be waited for for ever.
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
	// Those that came and went between two looks are still told.
	conf["spark.ui.retainedDeadExecutors"] = strconv.Itoa(max(100, limit))
}

// preset sets what nobody asked for.
func preset(conf map[string]string, key, value string) {
	if _, asked := conf[key]; !asked {
		conf[key] = value
	}
}

// lower brings a number down to limit where it is above it.
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
