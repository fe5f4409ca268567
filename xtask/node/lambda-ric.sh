# Builds Lambda's client for Node.js in the folder that is its argument: `packages/aws-lambda-ric`.
# Its own way of building wants autoconf for the curl that it brings; CMake builds the same curl.
set -e
version=3.3.0
mkdir -p "$1" && cd "$1"
python3 -m venv tools && tools/bin/pip install --quiet --disable-pip-version-check cmake==4.4.4
PATH="$PWD/tools/bin:$PATH"
mkdir -p app packages && cd app && echo '{ "private": true }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund aws-lambda-ric@$version
cd node_modules/aws-lambda-ric/deps
. ./versions
tar xzf "curl-$CURL_VERSION.tar.gz" --no-same-owner
tar xzf "aws-lambda-cpp-$AWS_LAMBDA_CPP_RELEASE.tar.gz" --no-same-owner
made="$PWD/artifacts"
common="-DCMAKE_POLICY_VERSION_MINIMUM=3.5 -DCMAKE_INSTALL_PREFIX=$made -DCMAKE_INSTALL_LIBDIR=lib
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON"
cmake -S "curl-curl-$CURL_VERSION" -B curl $common -DBUILD_SHARED_LIBS=OFF -DBUILD_CURL_EXE=OFF \
    -DHTTP_ONLY=ON -DCURL_USE_OPENSSL=OFF -DCURL_USE_LIBSSH2=OFF -DCURL_ZLIB=OFF \
    -DUSE_LIBIDN2=OFF -DENABLE_MANUAL=OFF -DENABLE_THREADED_RESOLVER=OFF -DBUILD_TESTING=OFF
cmake --build curl --target install
cmake -S "aws-lambda-cpp-$AWS_LAMBDA_CPP_RELEASE" -B cpp $common "-DCMAKE_PREFIX_PATH=$made"
cmake --build cpp --target install
cd ..
npx node-gyp rebuild --nodedir=/usr
mkdir "$1/packages/aws-lambda-ric"
cp -r bin dist package.json LICENSE "$1/packages/aws-lambda-ric"
cp build/Release/rapid-client.node "$1/packages/aws-lambda-ric/dist"
