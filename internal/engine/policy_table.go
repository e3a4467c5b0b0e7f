package engine

// A rule says whether a session may set the properties whose key equals its
// pattern or, where that ends in *, begins with it. The longest matching pattern
// counts; a key without a rule is refused.
type rule struct {
	pattern string
	allow   bool
	// only is the one value that is allowed: the one that sessions have anyway.
	only string
	why  string // of a refusal
}

// Reasons of refusals.
const (
	whyOperator  = "the server controls it"
	whyClassPath = "the engine sets class paths and JVM options; use spark.jars or spark.jars.packages"
	whyCommand   = "the engine sets the programs that Spark runs"
	whyUI        = "the server controls the Spark UI"
	whyAddress   = "the server sets addresses and ports"
	whySecurity  = "the server controls authentication"
	whyStore     = "the server sets the session's S3 address and keys; use fs.s3a.bucket.<bucket>.* for another S3"
	whyReserved  = "the prefix spark.athena. is reserved"
	whyCode      = "it loads code into the driver before the session's first calculation"
)

// rules is the property policy. What is allowed says how a session computes;
// what is refused says where it runs, who may reach it and what it is made of.
// User code can change much of this later from inside its own process: the
// list keeps requests from changing what the server set up around it.
var rules = []rule{
	// How queries run.
	{pattern: "spark.sql.*", allow: true},
	{pattern: "spark.sql.hive.metastore.jars*", why: whyClassPath},
	{pattern: "spark.sql.hive.thriftServer.*", why: whyAddress},
	{pattern: "spark.sql.streaming.ui.*", why: whyUI},
	{pattern: "spark.sql.ui.*", why: whyUI},
	{pattern: "spark.default.parallelism", allow: true},
	{pattern: "spark.app.name", allow: true},
	{pattern: "spark.log.level", allow: true},
	{pattern: "spark.serializer", allow: true},
	{pattern: "spark.serializer.*", allow: true},
	{pattern: "spark.kryo.*", allow: true},
	{pattern: "spark.kryoserializer.*", allow: true},
	{pattern: "spark.closure.*", allow: true},
	{pattern: "spark.shuffle.*", allow: true},
	{pattern: "spark.shuffle.service.*", why: whyOperator},
	{pattern: "spark.reducer.*", allow: true},
	{pattern: "spark.memory.*", allow: true},
	{pattern: "spark.storage.*", allow: true},
	{pattern: "spark.rdd.*", allow: true},
	{pattern: "spark.broadcast.*", allow: true},
	{pattern: "spark.checkpoint.*", allow: true},
	{pattern: "spark.cleaner.*", allow: true},
	{pattern: "spark.locality.*", allow: true},
	{pattern: "spark.scheduler.*", allow: true},
	{pattern: "spark.speculation", allow: true},
	{pattern: "spark.speculation.*", allow: true},
	{pattern: "spark.stage.*", allow: true},
	{pattern: "spark.task.*", allow: true},
	{pattern: "spark.excludeOnFailure.*", allow: true},
	{pattern: "spark.streaming.*", allow: true},
	{pattern: "spark.streaming.ui.*", why: whyUI},
	{pattern: "spark.files.*", allow: true},
	{pattern: "spark.io.compression.*", allow: true},
	{pattern: "spark.io.encryption.*", allow: true},
	{pattern: "spark.network.timeout", allow: true},
	{pattern: "spark.network.timeoutInterval", allow: true},
	{pattern: "spark.rpc.message.maxSize", allow: true},
	{pattern: "spark.rpc.askTimeout", allow: true},
	{pattern: "spark.rpc.lookupTimeout", allow: true},
	{pattern: "spark.python.worker.*", allow: true},
	{pattern: "spark.python.worker.module", why: whyCommand},
	{pattern: "spark.python.profile", allow: true},
	{pattern: "spark.eventLog.*", allow: true},

	// Sizes.
	{pattern: "spark.driver.cores", allow: true},
	{pattern: "spark.driver.memory", allow: true},
	{pattern: "spark.driver.memoryOverhead", allow: true},
	{pattern: "spark.driver.memoryOverheadFactor", allow: true},
	{pattern: "spark.driver.maxResultSize", allow: true},
	{pattern: "spark.executor.cores", allow: true},
	{pattern: "spark.executor.memory", allow: true},
	{pattern: "spark.executor.memoryOverhead", allow: true},
	{pattern: "spark.executor.memoryOverheadFactor", allow: true},
	{pattern: "spark.executor.pyspark.memory", allow: true},
	{pattern: "spark.executor.instances", allow: true},
	{pattern: "spark.executor.heartbeatInterval", allow: true},
	{pattern: "spark.cores.max", allow: true},
	{pattern: "spark.dynamicAllocation.*", allow: true},

	// Libraries and table formats.
	{pattern: "spark.jars", allow: true},
	{pattern: "spark.jars.*", allow: true},
	{pattern: "spark.databricks.delta.*", allow: true},
	{pattern: "spark.delta.*", allow: true},

	// Storage. All of fs.s3a is allowed except its address and its keys.
	{pattern: "spark.hadoop.*", allow: true},
	{pattern: "spark.hadoop.fs.s3.impl", only: s3aFileSystem, why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.impl", only: s3aFileSystem, why: whyStore},
	{pattern: "spark.hadoop.fs.AbstractFileSystem.s3.impl", only: s3aClass, why: whyStore},
	{pattern: "spark.hadoop.fs.AbstractFileSystem.s3a.impl", only: s3aClass, why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.endpoint*", why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.access.key", why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.secret.key", why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.session.token", why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.aws.credentials.provider", why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.assumed.role.*", why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.security.credential.provider.path", why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.path.style.access", only: "true", why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.connection.ssl.enabled", why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.proxy.*", why: whyStore},
	{pattern: "spark.hadoop.fs.s3a.buffer.dir", why: whyOperator},
	{pattern: "spark.hadoop.fs.s3a.delegation.*", why: whySecurity},
	{pattern: "spark.hadoop.hadoop.security.*", why: whySecurity},
	{pattern: "spark.hadoop.hadoop.proxyuser.*", why: whySecurity},
	{pattern: "spark.hadoop.hadoop.tmp.dir", why: whyOperator},
	{pattern: "spark.hadoop.yarn.*", why: whyOperator},

	// Encryption as Athena's console sets it. Sessions have the first one anyway.
	{pattern: "spark.authenticate", only: "true", why: whySecurity},
	{pattern: "spark.authenticate.*", why: whySecurity},
	{pattern: "spark.network.crypto.enabled", allow: true},
	{pattern: "spark.network.crypto.keyLength", allow: true},
	{pattern: "spark.network.crypto.keyFactoryAlgorithm", allow: true},

	// Refused with a better reason than that it is not listed.
	{pattern: "spark.athena.*", why: whyReserved},
	{pattern: "spark.master", why: whyOperator},
	{pattern: "spark.remote", why: whyOperator},
	{pattern: "spark.submit.*", why: whyOperator},
	{pattern: "spark.deploy.*", why: whyOperator},
	{pattern: "spark.kubernetes.*", why: whyOperator},
	{pattern: "spark.yarn.*", why: whyOperator},
	{pattern: "spark.mesos.*", why: whyOperator},
	{pattern: "spark.local.dir", why: whyOperator},
	{pattern: "spark.plugins*", why: whyCode},
	{pattern: "spark.extraListeners", why: whyCode},
	{pattern: "spark.metrics.*", why: whyOperator},
	{pattern: "spark.driver.extra*", why: whyClassPath},
	{pattern: "spark.driver.default*", why: whyClassPath},
	{pattern: "spark.driver.userClassPathFirst", why: whyClassPath},
	{pattern: "spark.executor.extra*", why: whyClassPath},
	{pattern: "spark.executor.default*", why: whyClassPath},
	{pattern: "spark.executor.userClassPathFirst", why: whyClassPath},
	{pattern: "spark.executorEnv.*", why: whyCommand},
	{pattern: "spark.pyspark.*", why: whyCommand},
	{pattern: "spark.python.daemon.module", why: whyCommand},
	{pattern: "spark.driver.host", why: whyAddress},
	{pattern: "spark.driver.port", why: whyAddress},
	{pattern: "spark.driver.bindAddress", why: whyAddress},
	{pattern: "spark.driver.blockManager.port", why: whyAddress},
	{pattern: "spark.blockManager.port", why: whyAddress},
	{pattern: "spark.port.maxRetries", why: whyAddress},
	{pattern: "spark.connect.*", why: whyAddress},
	{pattern: "spark.ui.*", why: whyUI},
	{pattern: "spark.history.*", why: whyUI},
	{pattern: "spark.acls.*", why: whySecurity},
	{pattern: "spark.admin.*", why: whySecurity},
	{pattern: "spark.modify.*", why: whySecurity},
	{pattern: "spark.ssl.*", why: whySecurity},
	{pattern: "spark.security.*", why: whySecurity},
	{pattern: "spark.kerberos.*", why: whySecurity},
	{pattern: "spark.redaction.*", why: whySecurity},
}
