// RUN: waferloom-opt %s --waferloom-per-pe --split-input-file --verify-diagnostics

// expected-error @below {{has modules that are not the program of the ends and that of the layers, in this order}}
module {
  module @layers {
    wafer.program region <x = 4, y = 5> stages <3 x 1> kind layers {}
  }
}

// -----

module {
  module @ends {
    wafer.program region <x = 2, y = 5> stages <3 x 1> kind ends {}
  }
  module @layers {
    // expected-error @below {{has stages #wafer.stages<4 x 1> but the ends have #wafer.stages<3 x 1>}}
    wafer.program region <x = 4, y = 5> stages <4 x 1> kind layers {}
  }
}

// -----

module {
  module @ends {
    wafer.program region <x = 2, y = 6> stages <3 x 1> kind ends {}
  }
  module @layers {
    // expected-error @below {{across their strip both are cut alike, so that lanes meet}}
    wafer.program region <x = 4, y = 2 x 3> stages <3 x 1> kind layers {}
  }
}

// -----

// expected-error @below {{is of one kind of stages but says not of how many}}
wafer.program region <x = 2, y = 5> kind ends {}

// -----

// expected-error @below {{is of one kind of stages in several strips; those of unlike shapes stand in one}}
wafer.program region <x = 2, y = 5> stages <2 x 2> kind ends {}

// -----

module {
  module @ends {
    wafer.program region <x = 2, y = 4> stages <3 x 1> kind ends {
      wafer.entry "one" of @one tokens 1
    }
    func.func @one() {
      return
    }
  }
  module @layers {
    // expected-error @below {{has other entries than the ends}}
    wafer.program region <x = 4, y = 4> stages <3 x 1> kind layers {
      wafer.entry "other" of @one tokens 1
    }
    func.func @one() {
      return
    }
  }
}

// -----

module {
  module @ends {
    wafer.program region <x = 2, y = 4> stages <3 x 1> kind ends {
      wafer.entry "one" of @one tokens 1
    }
    // expected-error @below {{sends value 0 to the layers as 'tensor<8xf32, #wafer.layout<[y]>>', where 'tensor<8xf32, #wafer.layout<[*]>>' is taken}}
    func.func @one() {
      %x = wafer.input "x" : tensor<8xf32, #wafer.layout<[*]>>
      %s = wafer.slice %x dim 0 over [y] : (tensor<8xf32, #wafer.layout<[*]>>) -> tensor<8xf32, #wafer.layout<[y]>>
      %y = wafer.send_recv %s : (tensor<8xf32, #wafer.layout<[y]>>) -> tensor<8xf32, #wafer.layout<[y]>>
      return
    }
  }
  module @layers {
    wafer.program region <x = 4, y = 4> stages <3 x 1> kind layers {
      wafer.entry "one" of @one tokens 1
    }
    func.func @one() {
      %x = wafer.recv : tensor<8xf32, #wafer.layout<[*]>>
      %y = wafer.repeat 2 (%a = %x) : tensor<8xf32, #wafer.layout<[*]>> {
        wafer.yield %a : tensor<8xf32, #wafer.layout<[*]>>
      }
      wafer.send %y : tensor<8xf32, #wafer.layout<[*]>>
      return
    }
  }
}

// -----

module {
  module @ends {
    wafer.program region <x = 2, y = 4> stages <3 x 1> kind ends {
      wafer.entry "one" of @one tokens 1
    }
    func.func @one() {
      %x = wafer.input "x" : tensor<8xf32, #wafer.layout<[*]>>
      %y = wafer.send_recv %x : (tensor<8xf32, #wafer.layout<[*]>>) -> tensor<8xf32, #wafer.layout<[*]>>
      return
    }
  }
  module @layers {
    wafer.program region <x = 4, y = 4> stages <3 x 1> kind layers {
      wafer.entry "one" of @one tokens 1
    }
    // expected-error @below {{of kind 'layers' has 0 wafer.send but needs one, which stands in no other op}}
    func.func @one() {
      %x = wafer.recv : tensor<8xf32, #wafer.layout<[*]>>
      return
    }
  }
}

// -----

%x = wafer.input "x" : tensor<8xf32>
// expected-error @below {{'wafer.send_recv' op sends 'tensor<8xf32>' and takes 'tensor<9xf32>'}}
%y = wafer.send_recv %x : (tensor<8xf32>) -> tensor<9xf32>
