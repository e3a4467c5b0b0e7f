import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.sql.DriverManager;
import java.util.Collection;
import java.util.Iterator;
import java.util.Map;
import java.util.Properties;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hadoop.hive.metastore.HiveMetaStore;
import org.apache.hadoop.hive.metastore.IHMSHandler;
import org.apache.hadoop.hive.metastore.RawStore;
import org.apache.hadoop.hive.metastore.TServerSocketKeepAlive;
import org.apache.hadoop.hive.metastore.TSetIpAddressProcessor;
import org.apache.hadoop.hive.metastore.api.EnvironmentContext;
import org.apache.hadoop.hive.metastore.api.MetaException;
import org.apache.hadoop.hive.metastore.api.NoSuchObjectException;
import org.apache.hadoop.hive.metastore.api.Table;
import org.apache.thrift.TBase;
import org.apache.thrift.TFieldIdEnum;
import org.apache.thrift.meta_data.FieldMetaData;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.protocol.TProtocol;
import org.apache.thrift.server.ServerContext;
import org.apache.thrift.server.TServerEventHandler;
import org.apache.thrift.server.TThreadPoolServer;
import org.apache.thrift.transport.TServerSocket;
import org.apache.thrift.transport.TTransport;
import org.apache.thrift.transport.TTransportFactory;

/**
 * The Hive Metastore on loopback: Hive's own main class always listens on every
 * interface. This class is compiled when it starts, by the compiler that Spark
 * has for its generated code (Janino: no lambdas, no generic calls), so that
 * neither a JDK nor a jar of ours is needed.
 *
 * Its argument is a file of settings. It writes its port to stdout when it
 * answers, and ends when its stdin is closed.
 */
public class Metastore {
  /** The longest string or container of a call, in bytes or items. */
  static final int MAX_MESSAGE = 16 << 20;

  public static void main(String[] args) throws Exception {
    // Any client may read settings; ${env.NAME} in one would be replaced from the environment, which has the key.
    Configuration.setRestrictSystemPropertiesDefault(true);
    HiveConf conf = new HiveConf();
    Properties settings = new Properties();
    Reader file = new InputStreamReader(new FileInputStream(args[0]), "UTF-8");
    settings.load(file);
    file.close();
    for (Iterator names = settings.stringPropertyNames().iterator(); names.hasNext();) {
      String name = (String) names.next();
      conf.set(name, settings.getProperty(name));
    }
    endWithStdin();

    IHMSHandler handler = HiveMetaStore.newRetryingHMSHandler(new HiveMetaStore.HMSHandler("metastore", conf, false), conf);
    handler.get_all_databases(); // creates missing tables
    release();

    final TServerSocket socket = new TServerSocketKeepAlive(new TServerSocket(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0)));
    TThreadPoolServer.Args how = new TThreadPoolServer.Args(socket);
    how.processor(new TSetIpAddressProcessor(Guard.around(handler)));
    how.transportFactory(new TTransportFactory());
    how.protocolFactory(new TBinaryProtocol.Factory(true, true, MAX_MESSAGE, MAX_MESSAGE));
    how.minWorkerThreads(2);
    how.maxWorkerThreads(1000);
    TThreadPoolServer server = new TThreadPoolServer(how);
    server.setServerEventHandler(new TServerEventHandler() {
      public void preServe() {
        System.out.println("listening " + socket.getServerSocket().getLocalPort());
        System.out.flush();
      }
      public ServerContext createContext(TProtocol in, TProtocol out) { return null; }
      public void deleteContext(ServerContext context, TProtocol in, TProtocol out) { release(); }
      public void processContext(ServerContext context, TTransport in, TTransport out) {}
    });
    server.serve();
  }

  /** Releases what a connection's thread has opened of the database. */
  static void release() {
    RawStore store = HiveMetaStore.HMSHandler.getRawStore();
    if (store != null) {
      store.shutdown();
      HiveMetaStore.HMSHandler.removeRawStore();
    }
  }

  /**
   * Refuses what Hive's handler would do: create or remove a folder that is not
   * in S3, and let a commit to an Iceberg table replace one that it does not
   * build on. The latter works because all commits are calls of this handler.
   */
  static class Guard implements InvocationHandler {
    static final String AT = "metadata_location";
    static final String BEFORE = "previous_metadata_location";

    final IHMSHandler handler;
    final Object[] locks = new Object[64];

    Guard(IHMSHandler handler) {
      this.handler = handler;
      for (int i = 0; i < locks.length; i++) {
        locks[i] = new Object();
      }
    }

    static IHMSHandler around(IHMSHandler handler) {
      return (IHMSHandler) Proxy.newProxyInstance(Metastore.class.getClassLoader(), new Class[] {IHMSHandler.class}, new Guard(handler));
    }

    public Object invoke(Object proxy, Method method, Object[] args) throws Throwable {
      for (int i = 0; args != null && i < args.length; i++) {
        checkPlaces(args[i]);
      }
      if (!method.getName().startsWith("alter_table") || !isCommit((Table) args[2])) {
        return call(method, args);
      }
      String name = (args[0] + "." + args[1]).toLowerCase();
      synchronized (locks[Math.floorMod(name.hashCode(), locks.length)]) {
        checkCommit((String) args[0], (String) args[1], (Table) args[2], args.length > 3 ? args[3] : null);
        return call(method, args);
      }
    }

    Object call(Method method, Object[] args) throws Throwable {
      try {
        return method.invoke(handler, args);
      } catch (InvocationTargetException failed) {
        throw failed.getCause();
      }
    }

    static boolean isCommit(Table table) {
      return table != null && table.getParameters() != null && table.getParameters().get(AT) != null;
    }

    /** Hive 4 checks what the caller expects; 2.3 does not. Iceberg says it either way. */
    void checkCommit(String database, String name, Table table, Object context) throws Exception {
      Object expected = table.getParameters().get(BEFORE);
      if (context instanceof EnvironmentContext) {
        Map more = ((EnvironmentContext) context).getProperties();
        if (more != null && AT.equals(more.get("expected_parameter_key"))) {
          expected = more.get("expected_parameter_value");
        }
      }
      Object found;
      try {
        Map parameters = handler.get_table(database, name).getParameters();
        found = parameters == null ? null : parameters.get(AT);
      } catch (NoSuchObjectException none) {
        return; // as the call itself will say
      }
      if (expected == null || found == null || found.equals(expected) || found.equals(table.getParameters().get(AT))) {
        return;
      }
      // Iceberg knows a conflict, after which it tries again, by these words.
      throw new MetaException("The table has been modified. The parameter value for key '" + AT + "' is '" + found
          + "'. The expected was value was '" + expected + "'");
    }

    /** Looks at every location in an argument, however deep. */
    static void checkPlaces(Object value) throws MetaException {
      if (value instanceof TBase) {
        TBase struct = (TBase) value;
        for (Iterator i = FieldMetaData.getStructMetaDataMap(struct.getClass()).keySet().iterator(); i.hasNext();) {
          TFieldIdEnum field = (TFieldIdEnum) i.next();
          Object inside = struct.isSet(field) ? struct.getFieldValue(field) : null;
          if (inside instanceof String && isPlace(field.getFieldName())) {
            checkPlace((String) inside);
          } else {
            checkPlaces(inside);
          }
        }
      } else if (value instanceof Collection) {
        for (Iterator i = ((Collection) value).iterator(); i.hasNext();) {
          checkPlaces(i.next());
        }
      }
    }

    static boolean isPlace(String field) {
      return field.equals("location") || field.equals("locationUri") || field.equals("rootPath");
    }

    static void checkPlace(String place) throws MetaException {
      if (!place.isEmpty() && !place.startsWith("s3://") && !place.startsWith("s3a://")) {
        throw new MetaException("the shared catalog has locations in s3:// only, and this is " + place
            + "; for tables in files, start a session with spark.sql.catalogImplementation=in-memory");
      }
    }
  }

  static void endWithStdin() {
    Thread watcher = new Thread("stdin") {
      public void run() {
        try {
          while (System.in.read() >= 0) {}
        } catch (Exception broken) {
          // as good as its end
        }
        try {
          DriverManager.getConnection("jdbc:derby:;shutdown=true");
        } catch (Exception always) {
          // this is how Derby says that it is down
        }
        Runtime.getRuntime().halt(0);
      }
    };
    watcher.setDaemon(true);
    watcher.start();
  }
}
